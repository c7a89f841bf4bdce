"""Sessions of staff, in the database."""

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        """Accept only ASCII letters and digits: PostgreSQL rejects NUL, which a cookie may have."""
        return super()._validate_session_key(key) and key.isalnum() and key.isascii()


def end_sessions(instance, **kwargs):
    """End all sessions of a locked user, so that none works again after it is unlocked.

    Runs after each save of a user, by console, admin or command.
    """
    if instance.is_active:
        return
    for session in SessionStore.get_model_class().objects.all():
        if session.get_decoded().get(SESSION_KEY) == str(instance.pk):
            session.delete()
