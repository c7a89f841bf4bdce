"""A service that has grown: as many accounts of the same size as there are mailboxes for."""

from itertools import islice

from django.contrib.admin.models import CHANGE
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from mailboxes.history import EXPORTED
from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    EmailRecipient,
    IdempotentAnswer,
    Mailbox,
)

SIZE = 100  # mailboxes of an account
CUSTOMERS = 9  # of a reseller
AT_ONCE = 4000  # rows

RECIPIENTS = """
    INSERT INTO mailboxes_emailrecipient (uuid, mailbox_id, email, position, created_at, updated_at)
    SELECT mailbox.uuid, mailbox.uuid, 'ann@' || account.name || '.example', 1,
        mailbox.created_at, mailbox.updated_at
    FROM mailboxes_mailbox mailbox JOIN mailboxes_account account ON account.id = account_id
"""
HISTORY = """
    INSERT INTO {history} ({columns}, history_date, history_type)
    SELECT {columns}, created_at, '+' FROM {table}
"""
EXPORTS = """
    INSERT INTO django_admin_log (object_id, object_repr, action_time, action_flag, change_message,
        content_type_id, user_id)
    SELECT CAST(uuid AS text), name, created_at, %s, %s, %s, %s FROM mailboxes_mailbox
"""


def fill(count, size=SIZE) -> Account:
    """Put so many accounts of this size into the empty tables; a customer among the others is told.

    A tenth of them are resellers of the others. Each has a credential, a call that may be repeated,
    and something that staff may undo; each mailbox a pass code, a recipient, its history, and a line
    in the admin's log.
    """
    tops = [Account(name=f"reseller-{number}") for number in range(-(-count // (CUSTOMERS + 1)))]
    Account.objects.bulk_create(tops)
    customers = [
        Account(name=f"customer-{number}", reseller=tops[number % len(tops)])
        for number in range(count - len(tops))
    ]
    accounts = tops + Account.objects.bulk_create(customers)
    ApiCredential.objects.bulk_create(map(credential, accounts))
    IdempotentAnswer.objects.bulk_create(map(answer, accounts))
    Batch.objects.bulk_create(Batch(action=Batch.Action.CHANGED) for _account in accounts)
    rows = (row for number in range(size) for row in boxes(accounts, number))
    while some := list(islice(rows, AT_ONCE)):
        Mailbox.objects.bulk_create(some)
    staff = User.objects.create_superuser("staff")
    kind = ContentType.objects.get_for_model(Mailbox)
    with connection.cursor() as cursor:
        cursor.execute(RECIPIENTS)
        for model in (Mailbox, EmailRecipient):
            cursor.execute(history_of(model))
        cursor.execute(EXPORTS, [CHANGE, EXPORTED, kind.pk, staff.pk])
        cursor.execute("ANALYZE")
    return customers[len(customers) // 2]


def credential(account) -> ApiCredential:
    made = ApiCredential(account=account, name="program")
    made.set_secret(made.make_secret())
    return made


def answer(account) -> IdempotentAnswer:
    made = IdempotentAnswer(account=account, key="first", fingerprint="0" * 64, status=201)
    made.body = "{}"
    return made


def boxes(accounts, number):
    """A mailbox of each account."""
    for account in accounts:
        row = Mailbox(account=account, name=f"Box {number}")
        row.password = f"{number:04}"
        yield row


def history_of(model) -> str:
    """The query that writes down the creation of all rows."""
    history = model.history.model
    columns = ", ".join(field.column for field in history.tracked_fields)
    return HISTORY.format(
        history=history._meta.db_table, columns=columns, table=model._meta.db_table
    )
