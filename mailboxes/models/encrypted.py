"""Rows that hold an encrypted text."""

from collections import Counter
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Substr

from mailboxes import validators
from mailboxes.encryption import ID_LENGTH, KeyRing, UnknownKeyError


class Sealed:
    """A row of which one column, `SEALED_IN`, holds a text that is sealed to its `owner`."""

    SEALED_IN: str
    pk: int | UUID

    @property
    def owner(self) -> bytes:
        """What the text is sealed to, so that it opens in no other row."""
        raise NotImplementedError

    def open(self) -> str:
        """The text in clear. Raises UnknownKeyError."""
        return settings.PASS_CODE_KEYS.open(getattr(self, self.SEALED_IN), self.owner)

    def seal(self, text: str) -> None:
        """Hold this text, sealed with the first key."""
        setattr(self, self.SEALED_IN, settings.PASS_CODE_KEYS.seal(text, self.owner))

    @staticmethod
    def kinds() -> list:
        """The models that hold a sealed text; the rows of history are among them."""
        models = apps.get_app_config("mailboxes").get_models()
        return [model for model in models if issubclass(model, Sealed)]

    @classmethod
    def under_older_keys(cls):
        """The rows whose text was sealed with another key than the first."""
        sealed = cls._rows().exclude(**{cls.SEALED_IN: None})
        return sealed.exclude(**{f"{cls.SEALED_IN}__startswith": settings.PASS_CODE_KEYS.current})

    @classmethod
    def counts_by_key(cls) -> Counter[str]:
        """How many texts there are, by the name of the key that sealed them."""
        beginning = Substr(cls.SEALED_IN, 1, ID_LENGTH + 1)  # with the colon behind the name
        sealed = cls._rows().exclude(**{cls.SEALED_IN: None}).order_by()
        counts: Counter[str] = Counter()
        for text, count in sealed.values_list(beginning).annotate(Count("pk")):
            counts[KeyRing.key_of(text)] += count
        return counts

    def reseal(self) -> bool:
        """Seal the text anew with the first key, and say so; not if another has come in its place meanwhile.

        What callers see stays as it is, so this is no change: no version, no row of history.
        Raises UnknownKeyError.
        """
        unchanged = self._rows().filter(
            pk=self.pk, **{self.SEALED_IN: getattr(self, self.SEALED_IN)}
        )
        self.seal(self.open())
        return unchanged.update(**{self.SEALED_IN: getattr(self, self.SEALED_IN)}) == 1

    @classmethod
    def _rows(cls):
        return cls._base_manager.all()  # type: ignore[attr-defined]


class SealedPassCode(Sealed):
    """The pass code in clear, over the sealed column. On a mailbox and on each row of its history.

    A property, not a field: a field does not see its row's uuid, to which the code is
    sealed, and a property cannot be looked up by.
    """

    SEALED_IN = "password_sealed"
    uuid: UUID
    password_sealed: str | None
    password_is_weak: bool

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def password(self) -> str | None:
        """Four digits, or None. Raises UnknownKeyError."""
        return None if self.password_sealed is None else self.open()

    @password.setter
    def password(self, code: str | None) -> None:
        if code is None:
            self.password_sealed = None
        else:
            self.seal(code)
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

    def take(self, row: "SealedPassCode", fields) -> None:
        """Set these fields as they are in a row of the same mailbox, the pass code sealed as it is."""
        for field in fields:
            if field == "password":
                self.password_sealed = row.password_sealed
                self.password_is_weak = row.password_is_weak
            else:
                setattr(self, field, getattr(row, field))
