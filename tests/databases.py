"""Further databases for tests, on SQLite and PostgreSQL: empty, or filled."""

import shutil
from contextlib import contextmanager, nullcontext

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.db.utils import ConnectionHandler

from config.env import parse_database_url
from config.settings import CONNECTION_MAX_AGE, POSTGRESQL_OPTIONS
from mailboxes.models import Account, ApiCredential, Mailbox

PASS_CODE = "8305"

on_sqlite = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("databases", ["postgres"], indirect=True)

unblock = nullcontext  # replaced by pytest-django's unblocker while tests run


@contextmanager
def default_database(url):
    """Make the database of the URL Django's default for a while."""
    before = connections["default"]
    settings = parse_database_url(url)
    if url.startswith("sqlite"):
        settings["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode=WAL",
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,  # seconds
        }
    else:
        settings["OPTIONS"] = POSTGRESQL_OPTIONS
    settings["CONN_MAX_AGE"] = CONNECTION_MAX_AGE
    connections["default"] = ConnectionHandler({"default": settings})["default"]
    try:
        with unblock():
            yield connections["default"]
    finally:
        connections["default"].close()
        connections["default"] = before


def headers_for(account, name="api", **fields):
    """Return the three headers of a new credential of the account."""
    credential = ApiCredential(account=account, name=name, **fields)
    secret = credential.make_secret()
    credential.set_secret(secret)
    credential.save()  # without the validation, which takes longer than all the rest
    return {"X-Auth-Reseller": account.name, "X-Auth-User": name, "X-Auth-Password": secret}


def prepare(url) -> dict:
    """Migrate, create the account `acme`, and return the headers of its credential."""
    with default_database(url):
        call_command("migrate", verbosity=0)
        return headers_for(Account.objects.create(name="acme"))


def fill():
    """Migrate the default database, and fill it with rows of several kinds."""
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("rosa", password="correct horse")
    account = Account.objects.create(name="acme", contact_name="Tab\there, “quoted” \\N and\nlines")
    for number in range(20):
        mailbox = Mailbox(account=account, name=f"Box {number}")
        mailbox.password = PASS_CODE
        mailbox.save()
        mailbox.add_recipient(f"pete{number}@acme.example")
    mailbox.soft_delete()


def rows():
    """Return all rows of the default database, by model."""
    return {
        model.__name__: sorted(model._base_manager.values_list(), key=repr)
        for model in apps.get_models()
    }


class SQLiteDatabases:
    engine = "SQLite"

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.filled = self.empty()
        with default_database(self.filled):
            fill()

    def empty(self) -> str:
        """Return the URL of a new, empty database."""
        self.count += 1
        return f"sqlite:///{self.folder}/{self.count}.sqlite3"

    def copy(self) -> str:
        """Return the URL of a new, filled database."""
        url = self.empty()
        shutil.copy(self.filled.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        return url


class PostgresDatabases:
    engine = "PostgreSQL"

    def __init__(self, postgres):
        self.postgres, self.count = postgres, 0
        self.filled = self.empty()
        with default_database(self.filled):
            fill()

    def empty(self, template="template1") -> str:
        """Return the URL of a new, empty database."""
        self.count += 1
        return self.postgres.create(f"backups_{self.count}", template)

    def copy(self) -> str:
        """Return the URL of a new, filled database."""
        return self.empty(template="backups_1")
