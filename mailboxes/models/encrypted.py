"""Rows with encrypted texts and files."""

import base64
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Count
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Substr

from mailboxes import validators
from mailboxes.encryption import KEY_ID_LENGTH, Cipher, KeyRing, UnknownKeyError
from mailboxes.storage import recordings_store

log = logging.getLogger("mailboxes")


class EncryptedRow:
    """A row with an encrypted text in the column ENCRYPTED_COLUMN."""

    ENCRYPTED_COLUMN: str
    pk: int | UUID

    @property
    def owner(self) -> bytes:
        """Return bytes that identify the row. A text copied to another row cannot be decrypted."""
        raise NotImplementedError

    def decrypt(self) -> str:
        return settings.PASS_CODE_KEYS.decrypt(getattr(self, self.ENCRYPTED_COLUMN), self.owner)

    def encrypt(self, text: str) -> None:
        """Encrypt the text with the first key and set the column, without saving."""
        setattr(self, self.ENCRYPTED_COLUMN, settings.PASS_CODE_KEYS.encrypt(text, self.owner))

    @staticmethod
    def encrypted_models() -> list:
        models = apps.get_app_config("mailboxes").get_models()
        return [model for model in models if issubclass(model, EncryptedRow)]

    @classmethod
    def encrypted_with_old_keys(cls):
        column = cls.ENCRYPTED_COLUMN
        by_current_key = {f"{column}__startswith": settings.PASS_CODE_KEYS.current}
        return cls._rows().exclude(**{column: None}).exclude(**by_current_key)

    @classmethod
    def counts_by_key(cls) -> Counter[str]:
        """Count the encrypted texts by the id of the key that encrypted them."""
        start = Substr(cls.ENCRYPTED_COLUMN, 1, KEY_ID_LENGTH + 1)  # key id and colon
        encrypted = cls._rows().exclude(**{cls.ENCRYPTED_COLUMN: None}).order_by()
        counts: Counter[str] = Counter()
        for text, count in encrypted.values_list(start).annotate(Count("pk")):
            counts[KeyRing.parse_key_id(text)] += count
        return counts

    @classmethod
    def has_available_key(cls) -> bool:
        """Return True if any row was encrypted with one of PASS_CODE_KEYS."""
        rows = cls._rows().alias(key=Substr(cls.ENCRYPTED_COLUMN, 1, KEY_ID_LENGTH))
        return rows.filter(key__in=settings.PASS_CODE_KEYS.key_ids).exists()

    def reencrypt(self) -> bool:
        """Encrypt the text again with the first key. Return False if it was changed meanwhile.

        The text stays the same, so there is no new version and no history row. Raises
        UnknownKeyError.
        """
        column = self.ENCRYPTED_COLUMN
        unchanged = self._rows().filter(pk=self.pk, **{column: getattr(self, column)})
        encrypted = settings.PASS_CODE_KEYS.reencrypt(getattr(self, column), self.owner)
        setattr(self, column, encrypted)
        return unchanged.update(**{column: getattr(self, column)}) == 1

    @classmethod
    def _rows(cls):
        return cls._base_manager.all()  # type: ignore[attr-defined]


class RowWithKey(EncryptedRow):
    """A row whose files and long texts are encrypted with a key of its own.

    That key is encrypted with the first of PASS_CODE_KEYS. So a rotation of those keys does not
    need to write the files again.
    """

    FILE_COLUMNS: Sequence[str] = ()

    @classmethod
    def list_file_columns(cls) -> list[tuple]:
        """Return each model that has files in the store of recordings, with each such column."""
        models = [model for model in cls.encrypted_models() if issubclass(model, RowWithKey)]
        return [(model, column) for model in models for column in model.FILE_COLUMNS]

    def create_key(self) -> None:
        """Set the column with a new key, without saving."""
        self.encrypt(base64.b64encode(Cipher.create().key).decode())

    @property
    def cipher(self) -> Cipher:
        """Return the cipher of the row's own key. Raises UnknownKeyError."""
        return Cipher(base64.b64decode(self.decrypt()))

    def write_file(self, file: FieldFile, content: bytes) -> None:
        """Store the content in the file of one of the row's columns. Raises OSError."""
        file.save("", ContentFile(self.cipher.encrypt(content, self.owner)), save=False)

    def read_file(self, file: FieldFile) -> bytes:
        """Return the decrypted file. Raises UnknownKeyError, OSError, DamagedError."""
        cipher = self.cipher
        with file.open() as stored:
            return cipher.decrypt(stored.read(), self.owner)

    def remove_files_on_commit(self) -> None:
        """Remove the files of a removed row, once it is gone for good.

        If that fails, or the process is killed before, purge_deleted removes them later.
        """

        def remove():
            for column in self.FILE_COLUMNS:
                name = getattr(self, column).name
                try:
                    recordings_store().delete(name)
                except OSError:
                    log.exception("The recording %s cannot be removed yet.", name)

        transaction.on_commit(remove)


class EncryptedPassCode(EncryptedRow):
    """Adds the property `password` to mailboxes and their history rows.

    It is not a field: a field does not have its row's UUID, which encryption needs.
    """

    ENCRYPTED_COLUMN = "password_sealed"
    uuid: UUID
    password_sealed: str | None
    password_is_weak: bool

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def password(self) -> str | None:
        """Return four digits, or None. Raises UnknownKeyError."""
        return None if self.password_sealed is None else self.decrypt()

    @password.setter
    def password(self, code: str | None) -> None:
        if code is None:
            self.password_sealed = None
        else:
            self.encrypt(code)
        self.password_is_weak = code is not None and validators.is_weak_pass_code(code)

    @property
    def has_lost_pass_code(self) -> bool:
        try:
            _ = self.password
        except UnknownKeyError:
            return True
        return False

    def has_pass_code(self, code: str) -> bool:
        """Return True if this is the pass code. Tell nobody who cannot read it."""
        with suppress(UnknownKeyError):
            return self.password == code
        return False

    def comparable_value(self, field: str):
        """Return the field's value; for the pass code, a text that differs each time it is set.

        So to set the same pass code again is a change too. Otherwise pass codes could be found by
        trying which one is no change.
        """
        if field == "password":
            return self.password_sealed and KeyRing.get_nonce(self.password_sealed)
        return getattr(self, field)

    def copy_fields(self, row: "EncryptedPassCode", fields) -> None:
        """Copy these fields from a row of the same mailbox. The pass code stays encrypted."""
        for field in fields:
            if field == "password":
                self.password_sealed = row.password_sealed
                self.password_is_weak = row.password_is_weak
            else:
                setattr(self, field, getattr(row, field))
