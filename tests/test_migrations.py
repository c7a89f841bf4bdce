"""Migrations can run while the version before them serves: squawk checks their SQL."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid
from django.core.management import CommandError, call_command
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models import F, Q
from django.test import override_settings

from mailboxes.models import ApiCredential
from tests.databases import default_database
from tests.guarantees.upgrade.settings import MIGRATION_MODULES

NAMES = sorted(name for app, name in MigrationLoader(None).disk_migrations if app == "mailboxes")
SQUAWK = Path(sys.executable).with_name("squawk")
IGNORED_RULES = [
    "prefer-bigint-over-int",  # a matter of taste
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-robust-stmts",  # `migrate` records the applied ones
    "require-lock-timeout",  # `migrate` sets it
    "require-statement-timeout",
    "transaction-nesting",  # Django's own BEGIN
]
# Python code in a transaction keeps its locks to the end, so its migration must not be atomic.
IN_A_TRANSACTION = "python-in-a-transaction"

# Rules that a migration may break, and why.
EXCEPTIONS = {
    # No earlier version was in use.
    "0002_staff": {"adding-foreign-key-constraint", "require-concurrent-index-creation"},
    "0004_engine_credentials": {
        "ban-drop-default",
        "ban-drop-not-null",
        "constraint-missing-not-valid",
        "require-concurrent-index-creation",
    },
}


@pytest.fixture
def connection(postgres, django_db_blocker):
    with django_db_blocker.unblock(), default_database(postgres.url()) as connection:
        yield connection


def find_broken_rules(connection, migration, state) -> set:
    """Return the rules that the migration would break if applied to the state."""
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state, editor, collect_sql=True)
    options = ["--pg-version=15", "--reporter=json", f"--exclude={','.join(IGNORED_RULES)}"]
    options += ["--assume-in-transaction"] * migration.atomic
    done = subprocess.run(
        [SQUAWK, *options], input="\n".join(editor.collected_sql), capture_output=True, text=True
    )
    rules = {finding["rule_name"] for finding in json.loads(done.stdout)}
    if migration.atomic and not all(operation.reduces_to_sql for operation in migration.operations):
        rules.add(IN_A_TRANSACTION)
    return rules


def find_all_broken_rules(connection) -> dict:
    """Return the rules that our migrations break, by the migration's name."""
    loader = MigrationLoader(connection)
    found = {
        name: find_broken_rules(
            connection, migration, loader.project_state((app, name), at_end=False)
        )
        for (app, name), migration in loader.disk_migrations.items()
        if app == "mailboxes"
    }
    return {name: rules for name, rules in found.items() if rules}


def test_every_migration_can_run_while_serving(connection):
    assert find_all_broken_rules(connection) == EXCEPTIONS


def test_example_of_a_next_version_can_run_while_serving(connection):
    """The migrations that tests/guarantees applies to a live service obey the rules too."""
    with override_settings(MIGRATION_MODULES=MIGRATION_MODULES):
        assert find_all_broken_rules(connection) == EXCEPTIONS


account = models.ForeignKey("mailboxes.Account", models.SET_NULL, null=True, related_name="+")
is_named = models.CheckConstraint(condition=~Q(name=""), name="is_named")
UNSAFE = {
    "a column that old code does not fill": (
        migrations.AddField("mailbox", "label", models.CharField(default="", max_length=9)),
        {"ban-drop-default"},
    ),
    "a column that old code reads": (
        migrations.RemoveField("mailbox", "name"),
        {"ban-drop-column"},
    ),
    "another name": (
        migrations.RenameField("mailbox", "name", "label"),
        {"renaming-column"},
    ),
    "another type": (
        migrations.AlterField("mailbox", "name", models.TextField()),
        {"changing-column-type"},
    ),
    "a table that old code reads": (
        migrations.DeleteModel("EmailRecipient"),
        {"ban-drop-table"},
    ),
    "an index built at once": (
        migrations.AddIndex("mailbox", models.Index(F("name"), name="by_name")),
        {"require-concurrent-index-creation"},
    ),
    "a rule checked at once": (
        migrations.AddConstraint("mailbox", is_named),
        {"constraint-missing-not-valid"},
    ),
    "a reference checked at once": (
        migrations.AddField("mailbox", "owner", account),
        {"adding-foreign-key-constraint", "require-concurrent-index-creation"},
    ),
    "code in one transaction": (
        migrations.RunPython(migrations.RunPython.noop),
        {IN_A_TRANSACTION},
    ),
    "nothing": (AddConstraintNotValid("mailbox", is_named), set()),
}


@pytest.mark.parametrize(("operation", "rules"), UNSAFE.values(), ids=UNSAFE)
def test_unsafe_operation_is_found(connection, operation, rules):
    migration = migrations.Migration("unsafe", "mailboxes")
    migration.operations = [operation]
    state = MigrationLoader(connection).project_state()
    assert find_broken_rules(connection, migration, state) == rules


def read_schema(connection):
    """Return the applied migrations, and the columns of all tables."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        get_columns = connection.introspection.get_table_description
        columns = {table: get_columns(cursor, table) for table in tables}
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2")
        return cursor.fetchall(), columns


def assert_refused(connection, *target):
    """Check that `migrate` with this target is refused, and changes nothing."""
    before = read_schema(connection)
    with pytest.raises(CommandError, match="cannot be undone: going back would lose data"):
        call_command("migrate", *target, verbosity=0)
    assert read_schema(connection) == before


@pytest.mark.long
def test_going_back_from_each_migration_is_refused(databases):
    with default_database(databases.empty()) as connection:
        for before, name in pairwise(["zero", *NAMES]):
            call_command("migrate", "mailboxes", name, verbosity=0)
            assert_refused(connection, "mailboxes", before)


@pytest.mark.parametrize(
    "target",
    [
        "zero",
        NAMES[0],
        *(pytest.param(name, marks=pytest.mark.long) for name in NAMES[1:-2]),
        NAMES[-2],
    ],
)
def test_going_back_over_several_migrations_is_refused(databases, target):
    with default_database(databases.filled) as connection:
        assert_refused(connection, "mailboxes", target)
        assert_refused(connection, "mailboxes", target, "--fake")


@pytest.mark.parametrize("app", ["auth", "axes", "otp_static", "otp_totp", "sessions"])
def test_going_back_in_another_app_is_refused(databases, app):
    with default_database(databases.filled) as connection:
        assert_refused(connection, app, "zero")


def test_engine_credential_stays_one_when_going_back_is_refused(databases):
    with default_database(databases.copy()) as connection:
        ApiCredential.objects.issue(None, "pbx", is_engine=True)
        assert_refused(connection, "mailboxes", "0003")
        assert ApiCredential.objects.get(name="pbx").is_engine
