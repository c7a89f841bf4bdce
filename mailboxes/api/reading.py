"""Mailboxes on their way to a caller: written as JSON by the database, all but their pass codes.

Python's values of each row, and what makes JSON of them, take several times as long as the
database does. The keys are the contract's; `serializers` says what each means.
"""

import logging
from collections.abc import Iterable, Iterator

import orjson
from django.conf import settings
from django.db.models import BigIntegerField, Func, OuterRef, Subquery, TextField, UUIDField
from rest_framework.exceptions import NotFound

from mailboxes.api.conditions import tag_of
from mailboxes.contract import MAILBOX_KEYS, RECIPIENT_KEYS
from mailboxes.keyring import UnknownKeyError
from mailboxes.models import IN_ORDER, WITHIN_MAILBOX, EmailRecipient, Mailbox
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
    """Part of a JSON object, without its braces: these keys, each with a JSON value."""

    arg_joiner = " || ',' || "
    template = "%(expressions)s"
    output_field = TextField()

    def __init__(self, values: dict):
        super().__init__(*(Pair(key, value) for key, value in values.items()))


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


RECIPIENT = {
    "created_on": Day("created_at"),
    "updated_on": Day("updated_at"),
    "uuid": UUIDOrNull("uuid"),
}
RECIPIENTS = (
    EmailRecipient.objects.filter(mailbox=OuterRef("pk"))
    .order_by(*WITHIN_MAILBOX)
    .values(pairs=Pairs({key: RECIPIENT[key] for key in RECIPIENT_KEYS}))
)
MAILBOX = {
    "beep": TrueOrFalse("beep"),
    "created_on": Day("created_at"),
    "email_recipients": EachOf(RECIPIENTS),
    "greeting": UUIDOrNull("greeting"),
    "name": Text("name"),
    "play_caller_id": TrueOrFalse("play_caller_id"),
    "play_timestamp": TrueOrFalse("play_timestamp"),
    "transcribe": TrueOrFalse("transcribe"),
    "updated_on": Day("updated_at"),
    "uuid": UUIDOrNull("uuid"),
}

# The pass code is sealed: what stands before it and behind it is the database's.
SEALED = MAILBOX_KEYS.index("password")
BEFORE = Pairs({key: MAILBOX[key] for key in MAILBOX_KEYS[:SEALED]})
BEHIND = Pairs({key: MAILBOX[key] for key in MAILBOX_KEYS[SEALED + 1 :]})


def rows(mailboxes, *order: str):
    """The mailboxes in this order as rows, for `written`."""
    return mailboxes.order_by(*order).values_list(
        "uuid", "version", "password_sealed", BEFORE, BEHIND
    )


def of_account():
    return Mailbox.objects.active().filter(account=GivenUnseen("account", BigIntegerField()))


ALL = Statement(lambda: rows(of_account(), *IN_ORDER))
ONE = Statement(lambda: rows(of_account().filter(uuid=Given("uuid", UUIDField()))))


def all_of(using: str, account: int) -> tuple[orjson.Fragment, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    return listed(ALL.rows(using, account=account))


def listed(rows: Iterable) -> tuple[orjson.Fragment, dict]:
    """The mailboxes of these rows, and what the answer's headers say of them."""
    mailboxes = [mailbox for mailbox, _version in written(rows)]
    return orjson.Fragment(b"[%b]" % b",".join(mailboxes)), {"X-Total-Count": str(len(mailboxes))}


def one_of(using: str, account: int, uuid) -> tuple[orjson.Fragment, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    for mailbox, version in list(written(ONE.rows(using, account=account, uuid=uuid))):
        return orjson.Fragment(mailbox), {"ETag": tag_of(version)}
    raise NotFound


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
