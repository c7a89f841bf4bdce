"""Fill a database with accounts of the same size."""

import base64
from datetime import timedelta
from itertools import islice

from django.contrib.admin.models import CHANGE
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from mailboxes.audio.recordings import PEAKS
from mailboxes.encryption import Cipher
from mailboxes.history import EXPORTED
from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    ChangeFeed,
    EmailRecipient,
    IdempotentAnswer,
    Mailbox,
    Message,
    Sound,
    SoundAudio,
    WebhookEndpoint,
)

TRANSCRIPTION = (
    "Good morning, this is message number {}. Please ring me back about the invoice of last week, and "
    "bring the grey coat that I left in the meeting room. Thank you, goodbye."
)
SIZE = 100  # mailboxes in an account
CUSTOMERS = 9  # of a reseller
CHUNK = 4000  # rows

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
# Received at different times. Of each mailbox one is unheard, one heard and one deleted.
MESSAGES = """
    INSERT INTO mailboxes_message (uuid, mailbox_id, caller_id_name, caller_id_number, call_id,
        received_at, stored_at, duration, size, peaks, recording, key_sealed, heard_at, deleted_at)
    SELECT {uuid}, uuid, name, '+44 20 7946', '', created_at, created_at, 9, 1, {no_peaks}, '', '',
        {heard_at}, {deleted_at}
    FROM mailboxes_mailbox
"""
DELETIONS = """
    INSERT INTO mailboxes_messagehistory (mailbox_id, action, history_date, count, states)
    SELECT uuid, 'delete', created_at, 1, '{}' FROM mailboxes_mailbox
"""
# A mail about each message, to the recipient of its mailbox.
MAILS = """
    INSERT INTO mailboxes_maildelivery (message_id, mailbox_id, email, state, attempts, answer,
        created_at, changed_at)
    SELECT message.uuid, message.mailbox_id, recipient.email, 'sent', 1, '', stored_at, stored_at
    FROM mailboxes_message message
    JOIN mailboxes_emailrecipient recipient ON recipient.mailbox_id = message.mailbox_id
"""
MOMENT = "created_at"
SQL = {
    "sqlite": {"uuid": "lower(hex(randomblob(16)))", "no_peaks": "x''"},
    "postgresql": {"uuid": "gen_random_uuid()", "no_peaks": "''::bytea"},
}


def build_sound(account, audio) -> Sound:
    return Sound(account=account, name="Welcome", audio=audio)


def fill_tables(count, size=SIZE, messages=200) -> Account:
    """Fill the empty tables with accounts of this size, and return one of the customers.

    A tenth of the accounts are resellers of the others. Each account has a credential, a webhook, a sound
    without files, a stored answer for an idempotency key, and a batch that can be undone; each mailbox has a pass code, a
    recipient, messages with their mails, its history, and a line in the admin's log. The first mailbox of the returned
    account has many more messages, half of them heard. No message has a recording.
    """
    resellers = [
        Account(name=f"reseller-{number}") for number in range(-(-count // (CUSTOMERS + 1)))
    ]
    Account.objects.bulk_create(resellers)
    customers = [
        Account(name=f"customer-{number}", reseller=resellers[number % len(resellers)])
        for number in range(count - len(resellers))
    ]
    accounts = resellers + Account.objects.bulk_create(customers)
    ApiCredential.objects.bulk_create(map(build_credential, accounts))
    WebhookEndpoint.objects.bulk_create(map(build_webhook, accounts))
    IdempotentAnswer.objects.bulk_create(map(build_answer, accounts))
    audios = [SoundAudio(duration=9, size=1, peaks=b"") for _account in accounts]
    SoundAudio.objects.bulk_create(audios)
    Sound.objects.bulk_create(map(build_sound, accounts, audios))
    ChangeFeed.objects.bulk_create(ChangeFeed(account=account, last=0) for account in accounts)
    Batch.objects.bulk_create(Batch(action=Batch.Action.CHANGED) for _account in accounts)
    rows = (row for number in range(size) for row in build_mailboxes(accounts, number))
    while chunk := list(islice(rows, CHUNK)):
        Mailbox.objects.bulk_create(chunk)
    staff = User.objects.create_superuser("staff")
    content_type = ContentType.objects.get_for_model(Mailbox)
    with connection.cursor() as cursor:
        cursor.execute(RECIPIENTS)
        for model in (Mailbox, EmailRecipient):
            cursor.execute(history_query(model))
        for heard, deleted in (("NULL", "NULL"), (MOMENT, "NULL"), ("NULL", MOMENT)):
            values = SQL[connection.vendor] | {"heard_at": heard, "deleted_at": deleted}
            cursor.execute(MESSAGES.format(**values))
        cursor.execute(DELETIONS)
        cursor.execute(EXPORTS, [CHANGE, EXPORTED, content_type.pk, staff.pk])
        found = customers[len(customers) // 2]
        rows = build_messages(found.mailboxes.order_by("name")[0], messages)
        Message.objects.bulk_create(rows, batch_size=1_000)
        cursor.execute(MAILS)
        cursor.execute("ANALYZE")
    return found


def build_credential(account) -> ApiCredential:
    row = ApiCredential(account=account, name="program")
    row.set_secret(row.make_secret())
    return row


def build_webhook(account) -> WebhookEndpoint:
    return WebhookEndpoint(account=account, url="https://example.com/", events=[], is_active=False)


def build_answer(account) -> IdempotentAnswer:
    row = IdempotentAnswer(account=account, key="first", fingerprint="0" * 64, status=201)
    row.body = "{}"
    return row


def build_mailboxes(accounts, number):
    """Yield a new mailbox for each account."""
    for account in accounts:
        row = Mailbox(account=account, name=f"Box {number}")
        row.password = f"{number:04}"
        yield row


def build_messages(mailbox, count):
    """Yield messages, each with a transcription, one received each minute until now."""
    now = timezone.now()
    for number in range(count):
        message = Message(
            mailbox=mailbox,
            caller_id_name=f"Caller {number}",
            caller_id_number=f"+4420794{number:05}",
            call_id=f"{number}@pbx.example",
            received_at=now - timedelta(minutes=number),
            duration=30,
            size=480_044,
            peaks=bytes(PEAKS),
            heard_at=now if number % 2 else None,
            transcription_status=Message.Status.DONE,
        )
        message.encrypt(base64.b64encode(Cipher.create().key).decode())
        message.transcription = TRANSCRIPTION.format(number)
        yield message


def history_query(model) -> str:
    """Return the query that adds the creation of all rows to the history."""
    history = model.history.model
    columns = ", ".join(field.column for field in history.tracked_fields)
    return HISTORY.format(
        history=history._meta.db_table, columns=columns, table=model._meta.db_table
    )
