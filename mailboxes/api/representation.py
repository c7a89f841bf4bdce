"""JSON of mailboxes, written by the database except for the pass codes.

Making Python values of each row, and JSON of those, takes several times as long as the query.
So the database writes it as text, with the encrypted pass codes in their places.
The keys are the contract's; `serializers` describes each.
"""

import logging
from binascii import a2b_hex
from collections.abc import Iterator
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

from mailboxes.api.conditions import format_etag
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
from mailboxes.models.mailboxes import WITHIN_MAILBOX

log = logging.getLogger("mailboxes.api")

MAX_LOGGED = 10  # mailboxes of one answer that a log line names


def recipients_json(mailbox: str = "pk") -> tuple:
    """Return SQL parts of a JSON array of recipients. `mailbox` is the path to its UUID."""
    values = {
        "created_on": add_quotes(DateText("created_at")),
        "updated_on": add_quotes(DateText("updated_at")),
        "uuid": add_quotes(UuidText("uuid")),
    }
    found = EmailRecipient.objects.filter(mailbox=OuterRef(mailbox)).order_by(*WITHIN_MAILBOX)
    return "[", JsonRows(found.values(one=Concatenated(*json_object(values, RECIPIENT_KEYS)))), "]"


def mailbox_json() -> Iterator:
    """Return SQL parts of a mailbox's JSON object, for `decrypt_in_place`.

    In place of the pass code are the mailbox's uuid and the encrypted pass code, delimited.
    """
    values = {
        "beep": [JsonBoolean("beep")],
        "created_on": add_quotes(DateText("created_at")),
        "email_recipients": recipients_json(),
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


def select_texts(mailboxes, *order: str):
    return mailboxes.order_by(*order).values_list(Concatenated(*mailbox_json()), flat=True)


def active_mailbox():
    return Mailbox.objects.active().filter(uuid=Param("uuid", UUIDField())).order_by()


def mailbox_text(account: str) -> RawText:
    """Return SQL for a mailbox's text: its version, a delimiter, its JSON.

    `account` names the column of the outer query that has the account's id. The text is null
    unless the mailbox is active and belongs to that account. The filter is the uuid alone: with
    the account in it, PostgreSQL might search all of the account's mailboxes.
    """
    own = Case(
        When(account=OuterRef(account), then=Concatenated(F("version"), DELIMITER, *mailbox_json()))
    )
    return RawText(Subquery(active_mailbox().values(one=own)))


def account_by_id():
    return Account.objects.order_by().filter(pk=Param("account", BigIntegerField()))


# Each returns one text; with CALLER, after the columns that authentication needs.
ONE = PreparedQuery(lambda: account_by_id().values_list(mailbox_text("pk")))
CALLER_AND_ONE = PreparedQuery(
    lambda: credentials_by_secret().values_list(*CALLER_COLUMNS, mailbox_text("account"))
)


# A mailbox to change: its columns, and its recipients as JSON.
COLUMNS = [field.attname for field in Mailbox._meta.concrete_fields]
TO_CHANGE = PreparedQuery(
    lambda: (
        active_mailbox()
        .filter(account=Param("account", BigIntegerField()))
        .values_list(*COLUMNS, Concatenated(*recipients_json()))
    )
)
CALLER_AND_TO_CHANGE = PreparedQuery(
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
            Concatenated(*recipients_json("mailbox__uuid")),
        )
    )
)


def fetch_one(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """Return the account's mailbox as JSON, and its ETag header. Raises NotFound."""
    ((text,),) = ONE.rows(using, account=account, uuid=uuid)
    return render_one(text)


def render_one(text: bytes | None) -> tuple[orjson.Fragment, dict]:
    """Return the mailbox as JSON, and its ETag header. Raises NotFound if the text is None."""
    if text is None:
        raise NotFound
    version, _, text = text.partition(DELIMITER.encode())
    codes = PassCodes()
    mailbox = decrypt_in_place(text, codes)
    codes.log_lost()
    return orjson.Fragment(mailbox), {"ETag": format_etag(version.decode(), bool(codes.lost))}


def fetch_to_change(account: int, uuid) -> Mailbox:
    """Return the account's mailbox, not locked, with its recipients. Raises NotFound."""
    for row in TO_CHANGE.rows(account=account, uuid=uuid):
        return mailbox_from_row(row)
    raise NotFound


def mailbox_from_row(row) -> Mailbox:
    """Return the mailbox of a row of TO_CHANGE. Raises NotFound if its columns are null."""
    *columns, recipients = row
    mailbox = instance_from_row(Mailbox, COLUMNS, columns, PRIMARY)
    if mailbox.pk is None:
        raise NotFound
    mailbox.recipients_as_json = recipients
    return mailbox


def represent_saved(mailbox: Mailbox) -> dict:
    """Return the JSON values of a mailbox that was just saved, without a query.

    One that was created has no `updated_on`, because it has never been updated.
    """
    codes = PassCodes()
    encrypted = f"{mailbox.pk.hex}{mailbox.password_sealed or ''}"
    fragments = {
        "email_recipients": orjson.Fragment(mailbox.recipients_as_json),
        "password": orjson.Fragment(codes.to_json(encrypted.encode())),
    }
    codes.log_lost()
    result = {
        key: fragments[key] if key in fragments else getattr(mailbox, key) for key in MAILBOX_KEYS
    }
    if mailbox.version == 1:
        del result["updated_on"]
    return result


def decrypt_in_place(text: bytes, codes: "PassCodes") -> bytes:
    parts = text.split(DELIMITER.encode())
    parts[1::2] = map(codes.to_json, parts[1::2])
    return b"".join(parts)


class PassCodes:
    """The pass codes of an answer. One that cannot be decrypted is shown as null, and logged."""

    def __init__(self):
        self.decrypt = settings.PASS_CODE_KEYS.decrypt_bytes
        self.lost = []

    def to_json(self, encrypted: bytes) -> bytes:
        """Return the pass code as JSON. `encrypted` begins with the digits of its mailbox's UUID."""
        token = encrypted[UUID_DIGITS:]
        if not token:
            return b"null"
        owner = a2b_hex(encrypted[:UUID_DIGITS])
        try:
            # Not orjson.dumps, which allocates a kilobyte for each text; a list keeps all of them.
            return encode_basestring(self.decrypt(token, owner)).encode()
        except UnknownKeyError as error:
            self.lost.append(f"{UUID(bytes=owner)} (key {error.key})")
            return b"null"

    def log_lost(self) -> None:
        if self.lost:
            log.error(
                "%s pass codes cannot be decrypted with any key in PASS_CODE_KEYS. Mailboxes: %s.",
                len(self.lost),
                ", ".join(self.lost[:MAX_LOGGED]),
            )
