"""Sessions of staff, in the database."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        """Whether it could be a key of ours: PostgreSQL takes no NUL, which a quoted cookie may hold."""
        return super()._validate_session_key(key) and key.isalnum() and key.isascii()
