"""Sessions of staff, in the database."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        """Refuse other characters too. PostgreSQL rejects NUL, which a quoted cookie may contain."""
        return super()._validate_session_key(key) and key.isalnum() and key.isascii()
