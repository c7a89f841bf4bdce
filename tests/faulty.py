"""Settings with a fault: encrypting a pass code raises an error with the text of FAULT."""

import os

from config.settings import *  # noqa: F403
from mailboxes.encryption import KeyRing


def encrypt(ring, text, owner):
    raise RuntimeError(os.environ["FAULT"].format(text))


KeyRing.encrypt = encrypt
