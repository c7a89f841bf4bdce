"""Mailboxes on their way to a caller: from the database's rows to the contract's shape, no models between.

A model of each row, and a serializer's field for each of its values, take ten times as long as
the database does. The keys are the contract's; `serializers` says what each means.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter

import orjson
from django.conf import settings
from django.db.models import BigIntegerField, DateField, F, UUIDField
from django.db.models.functions import Cast
from rest_framework.exceptions import NotFound

from mailboxes.api.conditions import tag_of
from mailboxes.contract import MAILBOX_KEYS, RECIPIENT_KEYS
from mailboxes.keyring import UnknownKeyError
from mailboxes.models import IN_ORDER, RECIPIENTS_IN_ORDER, Mailbox
from mailboxes.statements import Given, Statement

log = logging.getLogger("mailboxes.api")

TOLD = 10  # mailboxes of an answer that the log names


def day(moment) -> Cast:
    """The day of a moment in the connection's time zone, which is UTC."""
    return Cast(moment, DateField())


# What stands in the database for each key. In the place of the recipients, a mailbox's version.
MAILBOX = {key: F(key) for key in MAILBOX_KEYS} | {
    "created_on": day("created_at"),
    "email_recipients": F("version"),
    "password": F("password_sealed"),
    "updated_on": day("updated_at"),
}
RECIPIENT = {
    "created_on": day("email_recipients__created_at"),
    "updated_on": day("email_recipients__updated_at"),
    "uuid": F("email_recipients__uuid"),
}
OWN = len(MAILBOX)
UUID = MAILBOX_KEYS.index("uuid")

WRITTEN = 500  # mailboxes at a time


def rows(mailboxes, *order: str):
    """The mailboxes in this order as rows: one for each recipient, and one where there is none."""
    return mailboxes.order_by(*order, *RECIPIENTS_IN_ORDER).values_list(
        *(MAILBOX[key] for key in MAILBOX_KEYS), *(RECIPIENT[key] for key in RECIPIENT_KEYS)
    )


def of_account():
    return Mailbox.objects.active().filter(account=Given("account", BigIntegerField()))


ALL = Statement(lambda: rows(of_account(), *IN_ORDER))
ONE = Statement(lambda: rows(of_account().filter(uuid=Given("uuid", UUIDField()))))


def all_of(using: str, account: int) -> tuple[list, dict]:
    """The account's mailboxes, and what the answer's headers say of them."""
    return listed(ALL.rows(using, account=account))


def listed(rows: Iterable) -> tuple[list[orjson.Fragment], dict]:
    """The mailboxes of these rows, in JSON already, and what the answer's headers say of them.

    Some are written at a time: ten thousand mailboxes take several times the room of their JSON.
    """
    mailboxes = shown(rows)
    parts, count = [], 0
    while some := [mailbox for mailbox, _version in islice(mailboxes, WRITTEN)]:
        parts.append(orjson.Fragment(orjson.dumps(some)[1:-1]))
        count += len(some)
    return parts, {"X-Total-Count": str(count)}


def one_of(using: str, account: int, uuid) -> tuple[dict, dict]:
    """The account's mailbox, and what the answer's headers say of it. Raises NotFound."""
    for mailbox, version in list(shown(ONE.rows(using, account=account, uuid=uuid))):
        return mailbox, {"ETag": tag_of(version)}
    raise NotFound


def shown(rows: Iterable) -> Iterator[tuple[dict, int]]:
    """Each mailbox of the rows as the contract has it, and its version.

    One pass code that no key opens must not hide all others: it is shown as none, and the log says so.
    """
    keys = settings.PASS_CODE_KEYS
    lost = []
    for uuid, of_one in groupby(rows, itemgetter(UUID)):
        first, *more = of_one
        mailbox = dict(zip(MAILBOX_KEYS, first, strict=False))
        version = mailbox["email_recipients"]
        mailbox["email_recipients"] = [
            dict(zip(RECIPIENT_KEYS, row[OWN:], strict=True)) for row in (first, *more) if row[-1]
        ]
        if mailbox["password"] is not None:
            try:
                mailbox["password"] = keys.open(mailbox["password"], uuid.bytes)
            except UnknownKeyError as error:
                mailbox["password"] = None
                lost.append(f"{uuid} (key {error.key})")
        yield mailbox, version
    if lost:
        log.error(
            "Pass codes that no key in PASS_CODE_KEYS opens: %s, of the mailboxes %s.",
            len(lost),
            ", ".join(lost[:TOLD]),
        )
