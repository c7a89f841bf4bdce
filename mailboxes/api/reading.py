"""Mailboxes on their way to a caller: written as JSON by the database, all but their pass codes.

Python's values of each row, and what makes JSON of them, take several times as long as the
database does. The keys are the contract's; `serializers` says what each means.
"""

import logging
from collections.abc import Iterable, Iterator
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import (
    BigIntegerField,
    Case,
    F,
    Func,
    OuterRef,
    Subquery,
    TextField,
    UUIDField,
    When,
)
from rest_framework.exceptions import NotFound

from mailboxes.api.conditions import tag_of
from mailboxes.contract import MAILBOX_KEYS, RECIPIENT_KEYS
from mailboxes.keyring import UnknownKeyError
from mailboxes.models import (
    CALLER,
    IN_ORDER,
    WITHIN_MAILBOX,
    Account,
    EmailRecipient,
    Mailbox,
    by_secret,
)
from mailboxes.statements import Given, Statement

log = logging.getLogger("mailboxes.api")

TOLD = 10  # mailboxes of an answer that the log names

# Between the parts of a mailbox, and between mailboxes. No JSON has them.
UNIT, RECORD = "\x1f", "\x1e"


class Written(Func):
    """What is written of a column: JSON, where nothing else is said. Text, by the kind of database."""

    output_field = TextField()
    postgresql: str
    sqlite: str

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.postgresql)

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.sqlite)


class TrueOrFalse(Written):
    postgresql = sqlite = "CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"


class Text(Written):
    postgresql = "to_json(%(expressions)s)::text"
    sqlite = "json_quote(%(expressions)s)"


class Day(Written):
    """Of a moment, in the connection's time zone, which is UTC."""

    postgresql = r"""to_char(%(expressions)s, '\"YYYY-MM-DD\"')"""
    sqlite = """'"' || substr(%(expressions)s, 1, 10) || '"'"""


class UUIDOrNull(Written):
    postgresql = """coalesce('"' || %(expressions)s || '"', 'null')"""
    # 32 digits; the hyphens stand behind the 8th, 12th, 16th and 20th.
    hyphened = " || '-' || ".join(
        f"substr(%(expressions)s, {start}, {count})"
        for start, count in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    sqlite = f"""coalesce('"' || {hyphened} || '"', 'null')"""


class Digits(Written):
    """The 32 of a uuid. No JSON."""

    postgresql = "encode(uuid_send(%(expressions)s), 'hex')"
    sqlite = "%(expressions)s"


class OrEmpty(Written):
    """The text itself, or none; without what stands between parts, which only a damaged one has. No JSON."""

    postgresql = f"coalesce(translate(%(expressions)s, '{UNIT}{RECORD}', ''), '')"
    sqlite = f"coalesce(replace(replace(%(expressions)s, '{UNIT}', ''), '{RECORD}', ''), '')"


class Joined(Func):
    """Texts in a row."""

    template = "%(expressions)s"
    arg_joiner = " || "
    output_field = TextField()


class Parted(Joined):
    """Parts of a mailbox as one text."""

    arg_joiner = f" || '{UNIT}' || "


class EachOf(Subquery):
    """What the rows of a query hold as `one`, in its order, with the same characters between any two."""

    output_field = TextField()
    template = "coalesce((SELECT %(all)s(one, '%(between)s') FROM (%(subquery)s) AS each), '')"

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, all="string_agg")

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, all="group_concat")


def pairs(values: dict, keys) -> Joined:
    """A part of a JSON object, without its braces: these keys, each with its value."""
    return Joined(*(pair(key, values[key], is_first=key == keys[0]) for key in keys))


def pair(key: str, value, is_first: bool) -> Func:
    before = "" if is_first else ","
    return Func(value, template=f"""'{before}"{key}":' || %(expressions)s""")


# The pass code is sealed: what stands before it and behind it is the database's.
SEALED = MAILBOX_KEYS.index("password")


def recipients() -> Func:
    """Those of a mailbox, as a JSON array."""
    values = {
        "created_on": Day("created_at"),
        "updated_on": Day("updated_at"),
        "uuid": UUIDOrNull("uuid"),
    }
    one = Func(pairs(values, RECIPIENT_KEYS), template="'{' || %(expressions)s || '}'")
    found = EmailRecipient.objects.filter(mailbox=OuterRef("pk")).order_by(*WITHIN_MAILBOX)
    return Func(
        EachOf(found.values(one=one), between=","), template="'[' || %(expressions)s || ']'"
    )


def parts() -> list:
    """What `written` needs of a mailbox."""
    values = {
        "beep": TrueOrFalse("beep"),
        "created_on": Day("created_at"),
        "email_recipients": recipients(),
        "greeting": UUIDOrNull("greeting"),
        "name": Text("name"),
        "play_caller_id": TrueOrFalse("play_caller_id"),
        "play_timestamp": TrueOrFalse("play_timestamp"),
        "transcribe": TrueOrFalse("transcribe"),
        "updated_on": Day("updated_at"),
        "uuid": UUIDOrNull("uuid"),
    }
    return [
        Digits("uuid"),
        F("version"),
        OrEmpty("password_sealed"),
        pairs(values, MAILBOX_KEYS[:SEALED]),
        pairs(values, MAILBOX_KEYS[SEALED + 1 :]),
    ]


def rows(mailboxes, *order: str):
    """The mailboxes in this order as rows, for `written`."""
    return mailboxes.order_by(*order).values_list(*parts())


def all_of_account(account: str) -> EachOf:
    """The account's active mailboxes, as one text: a row of a query is dear."""
    mailboxes = Mailbox.objects.active().filter(account=OuterRef(account)).order_by(*IN_ORDER)
    return EachOf(mailboxes.values(one=Parted(*parts())), between=RECORD)


def one_of_account(account: str) -> Subquery:
    """The active mailbox of a uuid if it is the account's, as one text; else null.

    By its uuid alone: PostgreSQL might look through all of the account's for it.
    """
    mailbox = Mailbox.objects.active().filter(uuid=Given("uuid", UUIDField())).order_by()
    own = Case(When(account=OuterRef(account), then=Parted(*parts())))
    return Subquery(mailbox.values(one=own))


def account():
    return Account.objects.order_by().filter(pk=Given("account", BigIntegerField()))


# Each gives one text; those of the caller behind what it takes to judge who calls.
ALL = Statement(lambda: account().values_list(all_of_account("pk")))
ONE = Statement(lambda: account().values_list(one_of_account("pk")))
ALL_OF_CALLER = Statement(lambda: by_secret().values_list(*CALLER, all_of_account("account")))
ONE_OF_CALLER = Statement(lambda: by_secret().values_list(*CALLER, one_of_account("account")))


COLUMNS = [field.attname for field in Mailbox._meta.concrete_fields]
TO_CHANGE = Statement(
    lambda: (
        Mailbox.objects.active()
        .filter(uuid=Given("uuid", UUIDField()), account=Given("account", BigIntegerField()))
        .order_by()
        .values_list(*COLUMNS, recipients())
    )
)


def all_of(using: str, account: int) -> tuple[orjson.Fragment, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    ((text,),) = ALL.rows(using, account=account)
    return all_in(text)


def all_in(text: str) -> tuple[orjson.Fragment, dict]:
    """The mailboxes in this text, and what the answer's headers say of them."""
    return listed(mailbox.split(UNIT) for mailbox in text.split(RECORD) if mailbox)


def listed(rows: Iterable) -> tuple[orjson.Fragment, dict]:
    """The mailboxes of these rows, and what the answer's headers say of them."""
    mailboxes = [mailbox for mailbox, _version in written(rows)]
    return orjson.Fragment(b"[%b]" % b",".join(mailboxes)), {"X-Total-Count": str(len(mailboxes))}


def one_of(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    ((text,),) = ONE.rows(using, account=account, uuid=uuid)
    return one_in(text)


def one_in(text: str | None) -> tuple[orjson.Fragment, dict]:
    """The mailbox in this text, and what the answer's headers say of it. Raises NotFound where there is none."""
    if text is None:
        raise NotFound
    ((mailbox, version),) = written([text.split(UNIT)])
    return orjson.Fragment(mailbox), {"ETag": tag_of(version)}


def to_change(using: str, account: int, uuid) -> Mailbox:
    """The account's mailbox, with its recipients for `shown_after`. Raises NotFound.

    Nobody is kept from writing it meanwhile.
    """
    for *own, recipients in TO_CHANGE.rows(using, account=account, uuid=uuid):
        mailbox = Mailbox.from_db(using, COLUMNS, own)
        mailbox.recipients_as_json = recipients
        return mailbox
    raise NotFound


def shown_after(mailbox: Mailbox) -> dict:
    """The mailbox as the contract has it, now that it is written: no database is asked for what is at hand.

    What was created has never been updated: a 201 answer has no `updated_on`.
    """
    codes = PassCodes()
    at_hand = {
        "email_recipients": orjson.Fragment(mailbox.recipients_as_json),
        "password": codes.opened(mailbox.password_sealed, mailbox.owner),
    }
    codes.tell_lost()
    shown = {key: at_hand[key] if key in at_hand else getattr(mailbox, key) for key in MAILBOX_KEYS}
    if mailbox.version == 1:
        del shown["updated_on"]
    return shown


def written(rows: Iterable) -> Iterator[tuple[bytes, int | str]]:
    """Each mailbox of the rows in JSON, as the contract has it, and its version."""
    codes = PassCodes()
    for digits, version, sealed, before, behind in rows:
        code = orjson.dumps(codes.opened(sealed, bytes.fromhex(digits))).decode()
        yield f'{{{before},"password":{code},{behind}}}'.encode(), version
    codes.tell_lost()


class PassCodes:
    """Those of an answer. One that no key opens must not hide all else: it is shown as none, and the log says so."""

    def __init__(self):
        self.open = settings.PASS_CODE_KEYS.open
        self.lost = []

    def opened(self, sealed: str | None, owner: bytes) -> str | None:
        """In clear, what is sealed for the mailbox."""
        if not sealed:
            return None
        try:
            return self.open(sealed, owner)
        except UnknownKeyError as error:
            self.lost.append(f"{UUID(bytes=owner)} (key {error.key})")
            return None

    def tell_lost(self) -> None:
        if self.lost:
            log.error(
                "Pass codes that no key in PASS_CODE_KEYS opens: %s, of the mailboxes %s.",
                len(self.lost),
                ", ".join(self.lost[:TOLD]),
            )
