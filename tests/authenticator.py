"""An authenticator app like those on the phones of staff."""

import time
from base64 import b32decode

from django_otp.oath import TOTP

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
