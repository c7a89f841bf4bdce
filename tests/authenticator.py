"""An authenticator app, as staff have it on their phones."""

import time
from base64 import b32decode

from django_otp.oath import TOTP

SECONDS_A_CODE = 30


class AuthenticatorApp:
    def __init__(self, key):
        self.totp = TOTP(b32decode(key))

    def code(self, ahead=0):
        """The code of now, or of so many codes ahead: each is taken only once."""
        self.totp.time = time.time() + ahead * SECONDS_A_CODE
        return f"{self.totp.token():06}"

    def wrong_code(self):
        """None that the app shows these minutes."""
        shown = {self.code(ahead) for ahead in range(-3, 8)}
        return next(code for code in map("{:06}".format, range(99)) if code not in shown)
