from django.db import migrations, transaction

CHUNK = 500  # rows, locked for some milliseconds


def fold_names(apps, schema_editor):
    for model, name in (("account", "contact_name"), ("mailbox", "name")):
        rows = apps.get_model("mailboxes", model).objects
        names = rows.order_by("pk").values_list("pk", name)
        chunk = list(names[:CHUNK])
        while chunk:
            fold_chunk(rows, [key for key, text in chunk if not text.isascii()], f"folded_{name}")
            chunk = list(names.filter(pk__gt=chunk[-1][0])[:CHUNK])


@transaction.atomic
def fold_chunk(rows, keys, column):
    locked = list(rows.select_for_update().filter(pk__in=keys).order_by("pk"))
    field = rows.model._meta.get_field(column)
    for row in locked:
        field.pre_save(row, add=False)
    rows.bulk_update(locked, [column])


class Migration(migrations.Migration):
    """Fold the names that are not ASCII, while the service may change them."""

    atomic = False

    dependencies = [("mailboxes", "0017_add_folded_names")]

    operations = [migrations.RunPython(fold_names, migrations.RunPython.noop)]
