"""Mailboxes on their way to a caller: written as JSON by the database, all but their pass codes.

Python's values of each row, and what makes JSON of them, take several times as long as the
database does. So the database writes all of a list as one text, as long as it may be; what is
sealed stands in it where the pass code is to stand. The keys are the contract's; `serializers`
says what each means.
"""

import logging
from binascii import a2b_hex
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import (
    BigIntegerField,
    Case,
    F,
    FilteredRelation,
    OuterRef,
    Q,
    Subquery,
    UUIDField,
    When,
)
from rest_framework.exceptions import NotFound

from mailboxes.api.conditions import tag_of
from mailboxes.contract import MAILBOX_KEYS, RECIPIENT_KEYS
from mailboxes.db.connections import PRIMARY
from mailboxes.db.json import (
    DELIMITER,
    UUID_DIGITS,
    Concatenated,
    DateText,
    EncryptedText,
    JsonBoolean,
    JsonRows,
    JsonText,
    QuotedOrNull,
    RawText,
    UuidDigits,
    UuidText,
    add_quotes,
    json_object,
)
from mailboxes.db.queries import Param, PreparedQuery, instance_from_row
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import Account, EmailRecipient, Mailbox
from mailboxes.models.credentials import CALLER_COLUMNS, credentials_by_secret
from mailboxes.models.mailboxes import IN_ORDER, WITHIN_MAILBOX

log = logging.getLogger("mailboxes.api")

TOLD = 10  # mailboxes of an answer that the log names


def recipients(mailbox: str = "pk") -> tuple:
    """Return the texts of a JSON array of the mailbox's recipients; `mailbox` leads to its uuid."""
    values = {
        "created_on": add_quotes(DateText("created_at")),
        "updated_on": add_quotes(DateText("updated_at")),
        "uuid": add_quotes(UuidText("uuid")),
    }
    found = EmailRecipient.objects.filter(mailbox=OuterRef(mailbox)).order_by(*WITHIN_MAILBOX)
    return "[", JsonRows(found.values(one=Concatenated(*json_object(values, RECIPIENT_KEYS)))), "]"


def mailbox() -> Iterator:
    """The texts of a mailbox, for `written`: where its pass code is to stand, it has its digits and what is sealed."""
    values = {
        "beep": [JsonBoolean("beep")],
        "created_on": add_quotes(DateText("created_at")),
        "email_recipients": recipients(),
        "greeting": [QuotedOrNull(UuidText("greeting"))],
        "name": [JsonText("name")],
        "password": [DELIMITER, UuidDigits("uuid"), EncryptedText("password_sealed"), DELIMITER],
        "play_caller_id": [JsonBoolean("play_caller_id")],
        "play_timestamp": [JsonBoolean("play_timestamp")],
        "transcribe": [JsonBoolean("transcribe")],
        "updated_on": add_quotes(DateText("updated_at")),
        "uuid": add_quotes(UuidText("uuid")),
    }
    return json_object(values, MAILBOX_KEYS)


def rows(mailboxes, *order: str):
    """A text for each of the mailboxes, in this order."""
    return mailboxes.order_by(*order).values_list(Concatenated(*mailbox()), flat=True)


def all_of_account(account: str) -> RawText:
    """The account's active mailboxes, as a JSON array, in one text: a row of a query is dear."""
    mailboxes = Mailbox.objects.active().filter(account=OuterRef(account)).order_by(*IN_ORDER)
    return RawText(Concatenated("[", JsonRows(mailboxes.values(one=Concatenated(*mailbox()))), "]"))


def active_one():
    """The mailbox of a uuid that is given; as a queryset."""
    return Mailbox.objects.active().filter(uuid=Param("uuid", UUIDField())).order_by()


def one_of_account(account: str) -> RawText:
    """The active mailbox of a uuid if it is the account's, as one text behind its version; else null.

    By its uuid alone: PostgreSQL might look through all of the account's for it.
    """
    own = Case(
        When(account=OuterRef(account), then=Concatenated(F("version"), DELIMITER, *mailbox()))
    )
    return RawText(Subquery(active_one().values(one=own)))


def account():
    return Account.objects.order_by().filter(pk=Param("account", BigIntegerField()))


# Each gives one text; those of the caller behind what it takes to judge who calls.
ALL = PreparedQuery(lambda: account().values_list(all_of_account("pk")))
ONE = PreparedQuery(lambda: account().values_list(one_of_account("pk")))
CALLER_AND_ALL = PreparedQuery(
    lambda: credentials_by_secret().values_list(*CALLER_COLUMNS, all_of_account("account"))
)
CALLER_AND_ONE = PreparedQuery(
    lambda: credentials_by_secret().values_list(*CALLER_COLUMNS, one_of_account("account"))
)


# A mailbox to change: its columns, and its recipients as JSON.
COLUMNS = [field.attname for field in Mailbox._meta.concrete_fields]
ONE_TO_CHANGE = PreparedQuery(
    lambda: (
        active_one()
        .filter(account=Param("account", BigIntegerField()))
        .values_list(*COLUMNS, Concatenated(*recipients()))
    )
)
CALLER_AND_ONE_TO_CHANGE = PreparedQuery(
    lambda: (
        credentials_by_secret()
        .annotate(
            mailbox=FilteredRelation(
                "account__mailboxes",
                condition=Q(
                    account__mailboxes__uuid=Param("uuid", UUIDField()),
                    account__mailboxes__deleted_at=None,
                ),
            )
        )
        .values_list(
            *CALLER_COLUMNS,
            *(f"mailbox__{name}" for name in COLUMNS),
            Concatenated(*recipients("mailbox__uuid")),
        )
    )
)


def all_of(using: str, account: int) -> tuple[orjson.Fragment, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    ((text,),) = ALL.rows(using, account=account)
    return all_in(text)


def listed(rows: Iterable[str]) -> tuple[orjson.Fragment, dict]:
    """The mailboxes of these rows, and what the answer's headers say of them."""
    return all_in(f"[{','.join(rows)}]".encode())


def all_in(text: bytes) -> tuple[orjson.Fragment, dict]:
    """The mailboxes in this text, and what the answer's headers say of them."""
    mailboxes, count = written(text)
    return orjson.Fragment(mailboxes), {"X-Total-Count": str(count)}


def one_of(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    ((text,),) = ONE.rows(using, account=account, uuid=uuid)
    return one_in(text)


def one_in(text: bytes | None) -> tuple[orjson.Fragment, dict]:
    """The mailbox in this text, and what the answer's headers say of it. Raises NotFound where there is none."""
    if text is None:
        raise NotFound
    version, _, text = text.partition(DELIMITER.encode())
    mailbox, _count = written(text)
    return orjson.Fragment(mailbox), {"ETag": tag_of(version.decode())}


def to_change(account: int, uuid) -> Mailbox:
    """Return the account's mailbox, not locked, with its recipients. Raises NotFound."""
    for row in ONE_TO_CHANGE.rows(account=account, uuid=uuid):
        return mailbox_of(row)
    raise NotFound


def mailbox_of(row) -> Mailbox:
    """Return the mailbox in a row of ONE_TO_CHANGE. Raises NotFound if the row holds none."""
    *columns, recipients = row
    mailbox = instance_from_row(Mailbox, COLUMNS, columns, PRIMARY)
    if mailbox.pk is None:
        raise NotFound
    mailbox.recipients_as_json = recipients
    return mailbox


def shown_after(mailbox: Mailbox) -> dict:
    """The mailbox as the contract has it, now that it is written: no database is asked for what is at hand.

    What was created has never been updated: a 201 answer has no `updated_on`.
    """
    codes = PassCodes()
    place = f"{mailbox.pk.hex}{mailbox.password_sealed or ''}"
    at_hand = {
        "email_recipients": orjson.Fragment(mailbox.recipients_as_json),
        "password": orjson.Fragment(codes.written(place.encode())),
    }
    codes.tell_lost()
    shown = {key: at_hand[key] if key in at_hand else getattr(mailbox, key) for key in MAILBOX_KEYS}
    if mailbox.version == 1:
        del shown["updated_on"]
    return shown


def written(text: bytes) -> tuple[bytes, int]:
    """The text with each pass code in clear, where it stood sealed; and how many mailboxes' they are."""
    codes = PassCodes()
    parts = text.split(DELIMITER.encode())
    places = parts[1::2]
    parts[1::2] = map(codes.written, places)
    codes.tell_lost()
    return b"".join(parts), len(places)


class PassCodes:
    """Those of an answer. One that no key opens must not hide all else: it is shown as none, and the log says so."""

    def __init__(self):
        self.decrypt = settings.PASS_CODE_KEYS.decrypt_bytes
        self.lost = []

    def written(self, place: bytes) -> bytes:
        """In JSON, what is sealed behind the digits of its mailbox."""
        sealed = place[UUID_DIGITS:]
        if not sealed:
            return b"null"
        owner = a2b_hex(place[:UUID_DIGITS])
        try:
            # Not by orjson: it begins each text with a kilobyte, and of a list's codes all are kept.
            return encode_basestring(self.decrypt(sealed, owner)).encode()
        except UnknownKeyError as error:
            self.lost.append(f"{UUID(bytes=owner)} (key {error.key})")
            return b"null"

    def tell_lost(self) -> None:
        if self.lost:
            log.error(
                "Pass codes that no key in PASS_CODE_KEYS opens: %s, of the mailboxes %s.",
                len(self.lost),
                ", ".join(self.lost[:TOLD]),
            )
