"""Fills an empty database with the harness's accounts, credentials, mailboxes and recipients.

python -m tests.benchmarks.load FOLDER      of CSV files, as the harness writes them
"""

import csv
import os
import sys
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import django
from django.db import connection
from tqdm import tqdm

MIDNIGHT = "T00:00:00+00:00"


def load(folder: Path) -> None:
    """Save all that the files hold, each mailbox and recipient with its row of history."""
    from mailboxes.models import Account, ApiCredential

    Account.objects.bulk_create(
        Account(id=row["id"], name=row["name"]) for row in rows(folder, "accounts")
    )
    ApiCredential.objects.bulk_create(map(credential, rows(folder, "credentials")))
    pairs = mailboxes(folder)
    for _place, some in groupby(
        enumerate(tqdm(pairs, disable=None)), key=lambda numbered: numbered[0] // 5000
    ):
        save([pair for _number, pair in some])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def rows(folder, table):
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def credential(row):
    from mailboxes.models import ApiCredential

    made = ApiCredential(id=row["id"], account_id=row["account_id"], name=row["username"])
    made.set_secret(row["secret"])
    return made


def mailboxes(folder):
    """Each mailbox with its recipients."""
    from mailboxes.models import EmailRecipient, Mailbox

    recipients = {
        mailbox: list(some)
        for mailbox, some in groupby(
            rows(folder, "email_recipients"), key=lambda row: row["mailbox_id"]
        )
    }
    for row in rows(folder, "mailboxes"):
        mailbox = Mailbox(
            uuid=row["uuid"],
            account_id=row["account_id"],
            name=row["name"],
            greeting=row["greeting"] or None,
            **times(row),
            **{name: row[name] == "true" for name in FLAGS},
        )
        mailbox.clean_fields()  # makes UUIDs of the texts: the pass code is sealed to one
        mailbox.password = row["password"] or None
        yield (
            mailbox,
            [
                EmailRecipient(
                    uuid=each["uuid"],
                    mailbox=mailbox,
                    email=f"recipient-{each['id']}@example.com",
                    position=each["id"],
                    **times(each),
                )
                for each in recipients.get(row["id"], [])
            ],
        )


FLAGS = ("beep", "play_caller_id", "play_timestamp", "transcribe")


def times(row):
    """On the row's days; its number orders what was made on one day."""
    later = timedelta(microseconds=int(row["id"]))
    return {
        "created_at": datetime.fromisoformat(row["created_on"] + MIDNIGHT) + later,
        "updated_at": datetime.fromisoformat(row["updated_on"] + MIDNIGHT) + later,
    }


def save(pairs):
    """Save mailboxes and recipients with their history."""
    from mailboxes.demo import state
    from mailboxes.models import EmailRecipient, Mailbox

    made = [mailbox for mailbox, _recipients in pairs]
    added = [recipient for _mailbox, recipients in pairs for recipient in recipients]
    for model, some in ((Mailbox, made), (EmailRecipient, added)):
        model.objects.bulk_create(some)
        model.history.bulk_create([state(row, "+") for row in some])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    load(Path(sys.argv[1]))
