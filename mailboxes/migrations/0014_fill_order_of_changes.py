from collections import defaultdict
from itertools import count

from django.db import migrations, models, transaction
from django.db.models import Max

from mailboxes.migrations._indexes import create_index

CHUNK = 100  # mailboxes
COLUMNS = ["mailbox_id", "history_id", "history_batch_id", "version"]


def number_batches(apps, schema_editor):
    batches = apps.get_model("mailboxes", "Batch").objects
    numbers = count(1 + (batches.aggregate(last=Max("number"))["last"] or 0))
    unnumbered = list(batches.filter(number=0).order_by("made_at", "uuid").only("uuid"))
    for batch in unnumbered:
        batch.number = next(numbers)
    batches.bulk_update(unnumbered, ["number"], batch_size=500)


def fill_versions(apps, schema_editor):
    """Give each change of a recipient the version that it has made of its mailbox."""
    changes = apps.get_model("mailboxes", "HistoricalEmailRecipient").objects
    unfilled = changes.filter(version=0).order_by("mailbox_id").values_list("mailbox_id", flat=True)
    uuids = list(unfilled.distinct()[:CHUNK])
    while uuids:
        fill_chunk(apps, uuids)
        uuids = list(unfilled.filter(mailbox_id__gt=uuids[-1]).distinct()[:CHUNK])


@transaction.atomic
def fill_chunk(apps, uuids):
    """Fill these mailboxes, which are locked for some milliseconds."""
    mailboxes = apps.get_model("mailboxes", "Mailbox").objects.filter(pk__in=uuids).order_by("pk")
    newest = dict(mailboxes.select_for_update().values_list("pk", "version"))
    history = apps.get_model("mailboxes", "HistoricalMailbox").objects.filter(uuid__in=uuids)
    batches = defaultdict(dict)
    for uuid, version, batch in history.values_list("uuid", "version", "history_batch_id"):
        batches[uuid][version] = batch
    changes = apps.get_model("mailboxes", "HistoricalEmailRecipient").objects
    rows = defaultdict(list)
    for row in changes.filter(mailbox_id__in=uuids).order_by("history_id").only(*COLUMNS):
        rows[row.mailbox_id].append(row)
    for uuid, of_mailbox in rows.items():
        assign_versions(of_mailbox, batches[uuid], newest.get(uuid, 1))
    filled = [row for of_mailbox in rows.values() for row in of_mailbox]
    changes.bulk_update(filled, ["version"], batch_size=500)


def assign_versions(rows, batches, newest):
    """Set the versions of one mailbox's rows, given the batches of its own by version.

    Each change has made one version, and a batch has made one of all that it changed. So changes
    without a row of the mailbox have made the versions in between, in their order.
    """
    versions = {batch: version for version, batch in batches.items() if batch}
    between = [version for version in range(1, newest + 1) if version not in batches]
    keys = [row.history_batch_id or row.history_id for row in rows]
    others = list(dict.fromkeys(key for key in keys if key not in versions))
    surplus = len(others) - len(between)  # of rows that were not made by the service
    versions |= zip(others, [1] * surplus + between[max(-surplus, 0) :], strict=True)
    for row, key in zip(rows, keys, strict=True):
        row.version = versions[key]


class Migration(migrations.Migration):
    """Order the changes of before, and index all in their order."""

    atomic = False

    dependencies = [("mailboxes", "0013_order_of_changes")]

    operations = [
        migrations.RunPython(number_batches, migrations.RunPython.noop),
        migrations.RunPython(fill_versions, migrations.RunPython.noop),
        *(
            migrations.SeparateDatabaseAndState(
                [create_index(name, f"mailboxes_{model}", columns)],
                [migrations.AddIndex(model, models.Index(fields=fields, name=name))],
            )
            for model, name, fields, columns in (
                ("batch", "batches_in_order", ["number", "made_at"], ["number", "made_at"]),
                (
                    "historicalemailrecipient",
                    "recipient_history_by_version",
                    ["mailbox", "version"],
                    ["mailbox_id", "version"],
                ),
                (
                    "historicalemailrecipient",
                    "history_of_recipient",
                    ["uuid", "history_id"],
                    ["uuid", "history_id"],
                ),
                (
                    "historicalmailbox",
                    "mailbox_history_by_version",
                    ["uuid", "version"],
                    ["uuid", "version"],
                ),
            )
        ),
    ]
