"""Settings of a service with a fault: no pass code can be sealed, and the error says it in the words of FAULT."""

import os

from config.settings import *  # noqa: F403
from mailboxes.encryption import KeyRing


def encrypt(ring, text, owner):
    raise RuntimeError(os.environ["FAULT"].format(text))


KeyRing.encrypt = encrypt
