"""Encryption with AES-256-GCM. Imports nothing of this project."""

import base64
import hashlib
import os
import re
from binascii import a2b_base64
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils.translation import gettext

KEY_ID_LENGTH = 8  # characters
KEY_ID = re.compile(rf"([0-9a-f]{{{KEY_ID_LENGTH}}}):")
NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1
NONCE_LENGTH = NONCE_BYTES * 4 // 3  # characters in base64
KEY_BYTES = 32


class UnknownKeyError(Exception):
    """The text was encrypted with another key, or was changed. `key` is the id of its key."""

    def __init__(self, key: str):
        self.key = key
        super().__init__(
            gettext(
                "A pass code cannot be decrypted: its key, %(key)s, is not on the server (PASS_CODE_KEYS), or the text was changed."
            )
            % {"key": self.key}
        )


class DamagedError(Exception):
    """An encrypted file or text was changed, cut, or belongs to another row."""


class KeyRing:
    """Keys of pass codes: the first one encrypts, and any of them decrypts.

    An encrypted text is `key id:base64(nonce + ciphertext)`.
    """

    def __init__(self, keys: list[bytes]):
        self._ciphers = {self.make_key_id(key): AESGCM(key) for key in keys}
        self._decrypt = {
            key_id.encode(): cipher.decrypt for key_id, cipher in self._ciphers.items()
        }
        self.current = next(iter(self._ciphers))

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Parse keys in base64, separated by commas. Raises ValueError."""
        keys = [base64.b64decode(key, validate=True) for key in text.split(",")]
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"A pass code key must have {KEY_BYTES} bytes.")
        return cls(keys)

    @staticmethod
    def make_key_id(key: bytes) -> str:
        return hashlib.sha256(key).hexdigest()[:KEY_ID_LENGTH]  # does not reveal the key

    @staticmethod
    def parse_key_id(encrypted: str) -> str:
        """Return the id of the key that encrypted the text, or "?" for a text of another form."""
        match = KEY_ID.match(encrypted)
        return match[1] if match else "?"

    @property
    def key_ids(self) -> list[str]:
        """Return the key ids, that of the encrypting key first."""
        return list(self._ciphers)

    def find_missing(self, key_ids: Iterable[str]) -> list[str]:
        return sorted(set(key_ids) - self._ciphers.keys())

    def encrypt(self, text: str, owner: bytes) -> str:
        """Encrypt the text, so that it can be decrypted only with the same owner."""
        return self._encrypt(text, owner, os.urandom(NONCE_BYTES))

    def reencrypt(self, encrypted: str, owner: bytes) -> str:
        """Encrypt the text with the first key. Raises UnknownKeyError.

        The nonce stays, so that `get_nonce` does. That is safe, since the text stays too: only
        different texts must not have the same key and nonce.
        """
        text = self.decrypt(encrypted, owner)
        return self._encrypt(text, owner, a2b_base64(self.get_nonce(encrypted)))

    @staticmethod
    def get_nonce(encrypted: str) -> str:
        """Return the random part: only copies of an encrypted text have the same one."""
        return encrypted.partition(":")[2][:NONCE_LENGTH]

    def _encrypt(self, text: str, owner: bytes, nonce: bytes) -> str:
        ciphertext = self._ciphers[self.current].encrypt(nonce, text.encode(), owner)
        return f"{self.current}:{base64.b64encode(nonce + ciphertext).decode()}"

    def decrypt(self, encrypted: str, owner: bytes) -> str:
        """Return the decrypted text. Raises UnknownKeyError, also if `owner` is another one."""
        return self.decrypt_bytes(encrypted.encode(), owner)

    def decrypt_bytes(self, encrypted: bytes, owner: bytes) -> str:
        try:
            raw = a2b_base64(encrypted[KEY_ID_LENGTH + 1 :])
            decrypt = self._decrypt[encrypted[:KEY_ID_LENGTH]]
            return decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner).decode()
        except (KeyError, ValueError, InvalidTag):
            raise UnknownKeyError(self.parse_key_id(encrypted.decode(errors="replace"))) from None


class Cipher:
    """Encrypts files and texts of one row, with a key of its own.

    An encrypted file is the nonce and the ciphertext; a text is that in base64.
    """

    def __init__(self, key: bytes):
        self.key = key
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls) -> "Cipher":
        return cls(os.urandom(KEY_BYTES))

    def encrypt(self, content: bytes, owner: bytes) -> bytes:
        """Encrypt the content, so that it can be decrypted only with the same owner."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, owner)

    def decrypt(self, encrypted: bytes, owner: bytes) -> bytes:
        """Return the decrypted content. Raises DamagedError if it was changed or cut."""
        try:
            return self._cipher.decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], owner)
        except (ValueError, InvalidTag):
            raise DamagedError from None

    def encrypt_text(self, text: str, owner: bytes) -> str:
        return base64.b64encode(self.encrypt(text.encode(), owner)).decode()

    def decrypt_text(self, encrypted: str, owner: bytes) -> str:
        return self.decrypt(base64.b64decode(encrypted), owner).decode()
