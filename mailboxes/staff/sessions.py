"""Sessions of staff, in the database."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        """Accept only ASCII letters and digits: PostgreSQL rejects NUL, which a cookie may have."""
        return super()._validate_session_key(key) and key.isalnum() and key.isascii()
