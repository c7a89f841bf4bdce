"""Rows that hold an encrypted text."""

from collections import Counter
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Substr

from mailboxes import validators
from mailboxes.encryption import KEY_ID_LENGTH, KeyRing, UnknownKeyError


class EncryptedRow:
    """A row of which one column, `ENCRYPTED_COLUMN`, holds a text that is sealed to its `owner`."""

    ENCRYPTED_COLUMN: str
    pk: int | UUID

    @property
    def owner(self) -> bytes:
        """What the text is sealed to, so that it opens in no other row."""
        raise NotImplementedError

    def decrypt(self) -> str:
        """The text in clear. Raises UnknownKeyError."""
        return settings.PASS_CODE_KEYS.decrypt(getattr(self, self.ENCRYPTED_COLUMN), self.owner)

    def encrypt(self, text: str) -> None:
        """Hold this text, sealed with the first key."""
        setattr(self, self.ENCRYPTED_COLUMN, settings.PASS_CODE_KEYS.encrypt(text, self.owner))

    @staticmethod
    def kinds() -> list:
        """The models that hold a sealed text; the rows of history are among them."""
        models = apps.get_app_config("mailboxes").get_models()
        return [model for model in models if issubclass(model, EncryptedRow)]

    @classmethod
    def under_older_keys(cls):
        """The rows whose text was sealed with another key than the first."""
        sealed = cls._rows().exclude(**{cls.ENCRYPTED_COLUMN: None})
        return sealed.exclude(
            **{f"{cls.ENCRYPTED_COLUMN}__startswith": settings.PASS_CODE_KEYS.current}
        )

    @classmethod
    def counts_by_key(cls) -> Counter[str]:
        """How many texts there are, by the name of the key that sealed them."""
        beginning = Substr(
            cls.ENCRYPTED_COLUMN, 1, KEY_ID_LENGTH + 1
        )  # with the colon behind the name
        sealed = cls._rows().exclude(**{cls.ENCRYPTED_COLUMN: None}).order_by()
        counts: Counter[str] = Counter()
        for text, count in sealed.values_list(beginning).annotate(Count("pk")):
            counts[KeyRing.parse_key_id(text)] += count
        return counts

    def reencrypt(self) -> bool:
        """Seal the text anew with the first key, and say so; not if another has come in its place meanwhile.

        What callers see stays as it is, so this is no change: no version, no row of history.
        Raises UnknownKeyError.
        """
        unchanged = self._rows().filter(
            pk=self.pk, **{self.ENCRYPTED_COLUMN: getattr(self, self.ENCRYPTED_COLUMN)}
        )
        self.encrypt(self.decrypt())
        return (
            unchanged.update(**{self.ENCRYPTED_COLUMN: getattr(self, self.ENCRYPTED_COLUMN)}) == 1
        )

    @classmethod
    def _rows(cls):
        return cls._base_manager.all()  # type: ignore[attr-defined]


class EncryptedPassCode(EncryptedRow):
    """The pass code in clear, over the sealed column. On a mailbox and on each row of its history.

    A property, not a field: a field does not see its row's uuid, to which the code is
    sealed, and a property cannot be looked up by.
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
        """Four digits, or None. Raises UnknownKeyError."""
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
        """Whether it has a pass code that no key opens."""
        return self.password_sealed is not None and self.value("password") == self.password_sealed

    def value(self, field: str):
        """The field, to be compared; in place of a pass code that no key opens, its sealed text."""
        try:
            return getattr(self, field)
        except UnknownKeyError:
            return self.password_sealed

    def take(self, row: "EncryptedPassCode", fields) -> None:
        """Set these fields as they are in a row of the same mailbox, the pass code sealed as it is."""
        for field in fields:
            if field == "password":
                self.password_sealed = row.password_sealed
                self.password_is_weak = row.password_is_weak
            else:
                setattr(self, field, getattr(row, field))
