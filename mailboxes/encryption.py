"""Encryption of pass codes: AES-256-GCM under a ring of keys. Imports nothing of ours."""

import base64
import hashlib
import os
import re
from binascii import a2b_base64
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils.translation import gettext

ID_LENGTH = 8  # characters
KEY_NAME = re.compile(rf"([0-9a-f]{{{ID_LENGTH}}}):")
NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1
KEY_BYTES = 32


class UnknownKeyError(Exception):
    """The text was sealed with a key that is not on the ring, or is not what was sealed.

    `key` is that key's name.
    """

    def __init__(self, key: str):
        self.key = key
        super().__init__(
            gettext(
                "A pass code cannot be opened: key %(key)s is not in PASS_CODE_KEYS, or the text was altered."
            )
            % {"key": self.key}
        )


class KeyRing:
    """Seals with its first key, opens with any. A sealed text is `key id:base64(nonce + ciphertext)`."""

    def __init__(self, keys: list[bytes]):
        self._ciphers = {self.identify(key): AESGCM(key) for key in keys}
        self._decrypt = {name.encode(): cipher.decrypt for name, cipher in self._ciphers.items()}
        self.current = next(iter(self._ciphers))

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """A ring from keys in base64, separated by commas. Raises ValueError on none or a wrong one."""
        keys = [base64.b64decode(key, validate=True) for key in text.split(",")]
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"A pass-code key has {KEY_BYTES} bytes.")
        return cls(keys)

    @staticmethod
    def identify(key: bytes) -> str:
        """A name for the key that does not give it away, so that nobody has to number keys."""
        return hashlib.sha256(key).hexdigest()[:ID_LENGTH]

    @staticmethod
    def key_of(sealed: str) -> str:
        """The name of the key that sealed the text; "?" where it has none, for it tells nothing of the text."""
        match = KEY_NAME.match(sealed)
        return match[1] if match else "?"

    @property
    def names(self) -> list[str]:
        """Of its keys, the one that seals first."""
        return list(self._ciphers)

    def lacks(self, identities: Iterable[str]) -> list[str]:
        """Which of the keys of these names are not on the ring."""
        return sorted(set(identities) - self._ciphers.keys())

    def encrypt(self, text: str, owner: bytes) -> str:
        """Encrypt the text for its owner: it opens beside no other."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(nonce, text.encode(), owner)
        return f"{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, sealed: str, owner: bytes) -> str:
        """What was sealed for this owner. Raises UnknownKeyError."""
        return self.decrypt_bytes(sealed.encode(), owner)

    def decrypt_bytes(self, sealed: bytes, owner: bytes) -> str:
        """What was sealed for this owner, from the bytes of the sealed text. Raises UnknownKeyError."""
        try:
            raw = a2b_base64(sealed[ID_LENGTH + 1 :])
            decrypt = self._decrypt[sealed[:ID_LENGTH]]
            return decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner).decode()
        except (KeyError, ValueError, InvalidTag):
            raise UnknownKeyError(self.key_of(sealed.decode(errors="replace"))) from None
