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
    F,
    FilteredRelation,
    Func,
    OuterRef,
    Q,
    Subquery,
    TextField,
    UUIDField,
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
    """The text itself, or none. No JSON."""

    postgresql = sqlite = "coalesce(%(expressions)s, '')"


class Joined(Func):
    """Texts in a row, with the same characters between any two."""

    template = "%(expressions)s"
    output_field = TextField()

    def __init__(self, between: str, *texts, **extra):
        super().__init__(*texts, arg_joiner=f" || '{between}' || ", **extra)


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
    return Joined(
        ",",
        *(Func(values[key], template=f"""'"{key}":' || %(expressions)s""") for key in keys),
    )


# The pass code is sealed: what stands before it and behind it is the database's.
SEALED = MAILBOX_KEYS.index("password")

# Between the parts of a mailbox, and between mailboxes. No JSON has them.
UNIT, RECORD = "\x1f", "\x1e"


def recipients(mailbox: str) -> Func:
    """Those of the mailbox, as a JSON array."""
    values = {
        "created_on": Day("created_at"),
        "updated_on": Day("updated_at"),
        "uuid": UUIDOrNull("uuid"),
    }
    one = Func(pairs(values, RECIPIENT_KEYS), template="'{' || %(expressions)s || '}'")
    found = EmailRecipient.objects.filter(mailbox=OuterRef(mailbox)).order_by(*WITHIN_MAILBOX)
    return Func(
        EachOf(found.values(one=one), between=","), template="'[' || %(expressions)s || ']'"
    )


def parts(of: str = "") -> list:
    """What `written` needs of a mailbox: of the query's own, or the one that it calls so."""
    values = {
        "beep": TrueOrFalse(f"{of}beep"),
        "created_on": Day(f"{of}created_at"),
        "email_recipients": recipients(f"{of}pk"),
        "greeting": UUIDOrNull(f"{of}greeting"),
        "name": Text(f"{of}name"),
        "play_caller_id": TrueOrFalse(f"{of}play_caller_id"),
        "play_timestamp": TrueOrFalse(f"{of}play_timestamp"),
        "transcribe": TrueOrFalse(f"{of}transcribe"),
        "updated_on": Day(f"{of}updated_at"),
        "uuid": UUIDOrNull(f"{of}uuid"),
    }
    return [
        Digits(f"{of}uuid"),
        F(f"{of}version"),
        OrEmpty(f"{of}password_sealed"),
        pairs(values, MAILBOX_KEYS[:SEALED]),
        pairs(values, MAILBOX_KEYS[SEALED + 1 :]),
    ]


def rows(mailboxes, *order: str):
    """The mailboxes in this order as rows, for `written`."""
    return mailboxes.order_by(*order).values_list(*parts())


def all_of_account(account: str) -> EachOf:
    """All active mailboxes of the account, as one text: a row of a query is dear."""
    mailboxes = Mailbox.objects.active().filter(account=OuterRef(account)).order_by(*IN_ORDER)
    return EachOf(mailboxes.values(one=Joined(UNIT, *parts())), between=RECORD)


def one_of_account():
    own = Mailbox.objects.active().filter(account=Given("account", BigIntegerField()))
    return own.filter(uuid=Given("uuid", UUIDField()))


def one_of_caller():
    """The mailbox of a uuid, if it is the caller's own, beside the caller's credential."""
    own = Q(account__mailboxes__uuid=Given("uuid", UUIDField()))
    active = Q(account__mailboxes__deleted_at=None)
    return by_secret().annotate(
        asked=FilteredRelation("account__mailboxes", condition=own & active)
    )


ALL = Statement(
    lambda: Account.objects.filter(pk=Given("account", BigIntegerField())).values_list(
        all_of_account("pk")
    )
)
ALL_OF_CALLER = Statement(lambda: by_secret().values_list(*CALLER, all_of_account("account")))
ONE = Statement(lambda: rows(one_of_account()))
ONE_OF_CALLER = Statement(lambda: one_of_caller().values_list(*CALLER, *parts("asked__")))


def all_of(using: str, account: int) -> tuple[orjson.Fragment, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    ((text,),) = ALL.rows(using, account=account)
    return listed(split(text))


def split(text: str) -> Iterator[list[str]]:
    """The rows that stand in the text of all."""
    return (mailbox.split(UNIT) for mailbox in text.split(RECORD) if mailbox)


def listed(rows: Iterable) -> tuple[orjson.Fragment, dict]:
    """The mailboxes of these rows, and what the answer's headers say of them."""
    mailboxes = [mailbox for mailbox, _version in written(rows)]
    return orjson.Fragment(b"[%b]" % b",".join(mailboxes)), {"X-Total-Count": str(len(mailboxes))}


def one_of(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    for row in ONE.rows(using, account=account, uuid=uuid):
        return alone(row)
    raise NotFound


def alone(row) -> tuple[orjson.Fragment, dict]:
    """The mailbox of this row, and what the answer's headers say of it. Raises NotFound where it holds none."""
    if row[0] is None:
        raise NotFound
    ((mailbox, version),) = written([row])
    return orjson.Fragment(mailbox), {"ETag": tag_of(version)}


def written(rows: Iterable) -> Iterator[tuple[bytes, int | str]]:
    """Each mailbox of the rows in JSON, as the contract has it, and its version.

    One pass code that no key opens must not hide all others: it is shown as none, and the log says so.
    """
    open_sealed = settings.PASS_CODE_KEYS.open
    lost = []
    for digits, version, sealed, before, behind in rows:
        code = "null"
        if sealed:
            try:
                code = orjson.dumps(open_sealed(sealed, bytes.fromhex(digits))).decode()
            except UnknownKeyError as error:
                lost.append(f"{UUID(digits)} (key {error.key})")
        yield f'{{{before},"password":{code},{behind}}}'.encode(), version
    if lost:
        log.error(
            "Pass codes that no key in PASS_CODE_KEYS opens: %s, of the mailboxes %s.",
            len(lost),
            ", ".join(lost[:TOLD]),
        )
