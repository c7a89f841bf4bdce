"""Mailboxes on their way to a caller: written as JSON by the database, all but their pass codes.

Python's values of each row, and what makes JSON of them, take several times as long as the
database does. The keys are the contract's; `serializers` says what each means.
"""

import logging
from collections.abc import Iterable, Iterator

import orjson
from django.conf import settings
from django.db.models import (
    BigIntegerField,
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
from mailboxes.models import CALLER, IN_ORDER, WITHIN_MAILBOX, EmailRecipient, Mailbox, by_secret
from mailboxes.statements import Given, GivenUnseen, Statement

log = logging.getLogger("mailboxes.api")

TOLD = 10  # mailboxes of an answer that the log names


class JSON(Func):
    """A column's value as JSON."""

    output_field = TextField()
    postgresql: str
    sqlite: str

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.postgresql)

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.sqlite)


class TrueOrFalse(JSON):
    postgresql = sqlite = "CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"


class Text(JSON):
    postgresql = "to_json(%(expressions)s)::text"
    sqlite = "json_quote(%(expressions)s)"


class Day(JSON):
    """Of a moment, in the connection's time zone, which is UTC."""

    postgresql = r"""to_char(%(expressions)s, '\"YYYY-MM-DD\"')"""
    sqlite = """'"' || substr(%(expressions)s, 1, 10) || '"'"""


class UUIDOrNull(JSON):
    postgresql = """coalesce('"' || %(expressions)s || '"', 'null')"""
    # 32 digits; the hyphens stand behind the 8th, 12th, 16th and 20th.
    hyphened = " || '-' || ".join(
        f"substr(%(expressions)s, {start}, {count})"
        for start, count in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    sqlite = f"""coalesce('"' || {hyphened} || '"', 'null')"""


class Pairs(Func):
    """Part of a JSON object, without its braces: these keys, each with its JSON value."""

    arg_joiner = " || ',' || "
    template = "%(expressions)s"
    output_field = TextField()

    def __init__(self, values: dict, keys):
        super().__init__(*(Pair(key, values[key]) for key in keys))


class Pair(Func):
    output_field = TextField()

    def __init__(self, key: str, value):
        super().__init__(value, template=f"""'"{key}":' || %(expressions)s""")


class EachOf(Subquery):
    """The objects of which the rows of a query hold the `pairs`, in its order, as a JSON array."""

    output_field = TextField()
    template = """'[' || coalesce((SELECT %(function)s('{' || pairs || '}', ',') FROM (%(subquery)s) AS each), '') || ']'"""

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, function="string_agg")

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, function="group_concat")


# The pass code is sealed: what stands before it and behind it is the database's.
SEALED = MAILBOX_KEYS.index("password")


def recipient() -> dict[str, JSON]:
    return {
        "created_on": Day("created_at"),
        "updated_on": Day("updated_at"),
        "uuid": UUIDOrNull("uuid"),
    }


def columns(of: str = "") -> list:
    """What `written` needs of a mailbox: of the query's own, or the one that it calls so."""
    recipients = EmailRecipient.objects.filter(mailbox=OuterRef(f"{of}pk"))
    pairs = Pairs(recipient(), RECIPIENT_KEYS)
    values = {
        "beep": TrueOrFalse(f"{of}beep"),
        "created_on": Day(f"{of}created_at"),
        "email_recipients": EachOf(recipients.order_by(*WITHIN_MAILBOX).values(pairs=pairs)),
        "greeting": UUIDOrNull(f"{of}greeting"),
        "name": Text(f"{of}name"),
        "play_caller_id": TrueOrFalse(f"{of}play_caller_id"),
        "play_timestamp": TrueOrFalse(f"{of}play_timestamp"),
        "transcribe": TrueOrFalse(f"{of}transcribe"),
        "updated_on": Day(f"{of}updated_at"),
        "uuid": UUIDOrNull(f"{of}uuid"),
    }
    return [
        f"{of}uuid",
        f"{of}version",
        f"{of}password_sealed",
        Pairs(values, MAILBOX_KEYS[:SEALED]),
        Pairs(values, MAILBOX_KEYS[SEALED + 1 :]),
    ]


def rows(mailboxes, *order: str):
    """The mailboxes in this order as rows, for `written`."""
    return mailboxes.order_by(*order).values_list(*columns())


def of_account():
    return Mailbox.objects.active().filter(account=GivenUnseen("account", BigIntegerField()))


def of_caller():
    """The mailbox of a uuid, if it is the caller's own, beside the caller's credential."""
    own = Q(account__mailboxes__uuid=Given("uuid", UUIDField()))
    active = Q(account__mailboxes__deleted_at=None)
    return by_secret().annotate(
        asked=FilteredRelation("account__mailboxes", condition=own & active)
    )


ALL = Statement(lambda: rows(of_account(), *IN_ORDER))
ONE = Statement(lambda: rows(of_account().filter(uuid=Given("uuid", UUIDField()))))
ONE_OF_CALLER = Statement(lambda: of_caller().values_list(*CALLER, *columns("asked__")))


def all_of(using: str, account: int) -> tuple[orjson.Fragment, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    return listed(ALL.rows(using, account=account))


def listed(rows: Iterable) -> tuple[orjson.Fragment, dict]:
    """The mailboxes of these rows, and what the answer's headers say of them."""
    mailboxes = [mailbox for mailbox, _version in written(rows)]
    return orjson.Fragment(b"[%b]" % b",".join(mailboxes)), {"X-Total-Count": str(len(mailboxes))}


def one_of(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    for row in ONE.rows(using, account=account, uuid=uuid):
        return alone(row)
    raise NotFound


def alone(row: tuple) -> tuple[orjson.Fragment, dict]:
    """The mailbox of this row, and what the answer's headers say of it. Raises NotFound where it holds none."""
    if row[0] is None:
        raise NotFound
    ((mailbox, version),) = written([row])
    return orjson.Fragment(mailbox), {"ETag": tag_of(version)}


def written(rows: Iterable) -> Iterator[tuple[bytes, int]]:
    """Each mailbox of the rows in JSON, as the contract has it, and its version.

    One pass code that no key opens must not hide all others: it is shown as none, and the log says so.
    """
    open_sealed = settings.PASS_CODE_KEYS.open
    lost = []
    for uuid, version, sealed, before, behind in rows:
        code = "null"
        if sealed is not None:
            try:
                code = orjson.dumps(open_sealed(sealed, uuid.bytes)).decode()
            except UnknownKeyError as error:
                lost.append(f"{uuid} (key {error.key})")
        yield f'{{{before},"password":{code},{behind}}}'.encode(), version
    if lost:
        log.error(
            "Pass codes that no key in PASS_CODE_KEYS opens: %s, of the mailboxes %s.",
            len(lost),
            ", ".join(lost[:TOLD]),
        )
