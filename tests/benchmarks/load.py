"""Fill an empty database with the accounts, credentials and mailboxes of a load harness.

`python -m tests.benchmarks.load FOLDER` reads the harness's CSV files in the folder.
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
    """Save the content of the files, with a history row for each mailbox and recipient."""
    from mailboxes.models import Account, ApiCredential

    Account.objects.bulk_create(
        Account(id=row["id"], name=row["name"]) for row in read_rows(folder, "accounts")
    )
    ApiCredential.objects.bulk_create(map(build_credential, read_rows(folder, "credentials")))
    pairs = read_mailboxes(folder)
    for _place, group in groupby(
        enumerate(tqdm(pairs, disable=None)), key=lambda numbered: numbered[0] // 5000
    ):
        save_pairs([pair for _number, pair in group])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def read_rows(folder, table):
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def build_credential(row):
    from mailboxes.models import ApiCredential

    created = ApiCredential(id=row["id"], account_id=row["account_id"], name=row["username"])
    created.set_secret(row["secret"])
    return created


def read_mailboxes(folder):
    """Yield each mailbox with its recipients."""
    from mailboxes.models import EmailRecipient, Mailbox

    recipients = {
        mailbox: list(group)
        for mailbox, group in groupby(
            read_rows(folder, "email_recipients"), key=lambda row: row["mailbox_id"]
        )
    }
    for row in read_rows(folder, "mailboxes"):
        mailbox = Mailbox(
            uuid=row["uuid"],
            account_id=row["account_id"],
            name=row["name"],
            greeting=row["greeting"] or None,
            **parse_times(row),
            **{name: row[name] == "true" for name in FLAGS},
        )
        mailbox.clean_fields()  # converts the UUID, to which the pass code is bound
        mailbox.password = row["password"] or None
        yield (
            mailbox,
            [
                EmailRecipient(
                    uuid=recipient["uuid"],
                    mailbox=mailbox,
                    email=f"recipient-{recipient['id']}@example.com",
                    position=recipient["id"],
                    **parse_times(recipient),
                )
                for recipient in recipients.get(row["id"], [])
            ],
        )


FLAGS = ("beep", "play_caller_id", "play_timestamp", "transcribe")


def parse_times(row):
    """Return the row's times; its id orders rows of the same day."""
    later = timedelta(microseconds=int(row["id"]))
    return {
        "created_at": datetime.fromisoformat(row["created_on"] + MIDNIGHT) + later,
        "updated_at": datetime.fromisoformat(row["updated_on"] + MIDNIGHT) + later,
    }


def save_pairs(pairs):
    from mailboxes.demo import history_row
    from mailboxes.models import EmailRecipient, Mailbox

    created = [mailbox for mailbox, _recipients in pairs]
    added = [recipient for _mailbox, recipients in pairs for recipient in recipients]
    for model, group in ((Mailbox, created), (EmailRecipient, added)):
        model.objects.bulk_create(group)
        model.history.bulk_create([history_row(row, "+") for row in group])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    load(Path(sys.argv[1]))
