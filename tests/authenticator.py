"""An authenticator app like those on the phones of staff."""

import time
from base64 import b32decode

from django_otp.oath import TOTP

from mailboxes.staff import second_factor

CODE_SECONDS = 30


class AuthenticatorApp:
    def __init__(self, key):
        self.totp = TOTP(b32decode(key))

    def code(self, ahead=0):
        """Return the current code, or a later one: each is accepted only once."""
        self.totp.time = time.time() + ahead * CODE_SECONDS
        return f"{self.totp.token():06}"

    def wrong_code(self):
        """Return a code that is not valid in these minutes."""
        valid = {self.code(ahead) for ahead in range(-3, 8)}
        return next(code for code in map("{:06}".format, range(99)) if code not in valid)


def set_up_second_factor(user):
    """Set up the second factor; return the authenticator app and the recovery codes."""
    app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(user)))
    second_factor.confirm_authenticator(user, app.code())
    return app, second_factor.create_recovery_codes(user)
