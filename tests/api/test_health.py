"""Health checks: /healthz and /readyz."""

import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.api import health
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Account, ApiCredential, Mailbox
from tests.databases import default_database, headers_for, on_sqlite
from tests.delivery.tasks import note
from tests.server import Server
from tests.service import InProcess, OverSocket

pytestmark = pytest.mark.django_db

NOT_READABLE = (503, b"the data cannot be read\n")


def probe(service=None):
    answer = (service or InProcess()).get("/readyz")
    return answer.status, answer.body


@pytest.fixture
def mailbox(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="4829")
    mailbox.add_recipient("ann@acme.example")
    return mailbox


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_healthy_service_answers_ok(path, mailbox, service):
    answer = service.get(path)
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_service_without_data_is_ready():
    assert probe() == (200, b"ok\n")


def test_task_lag_is_a_header_and_no_failure(service):
    assert service.get("/readyz").headers["x-task-lag"] == "0"
    note.enqueue("", "")
    DBTaskResult.objects.update(enqueued_at=timezone.now() - timedelta(hours=2))
    note.using(run_after=timezone.now() + timedelta(hours=1)).enqueue("", "")
    answer = service.get("/readyz")
    assert (answer.status, answer.headers["x-task-lag"]) == (200, "7200")


def test_missing_table_of_tasks_does_not_make_the_service_unready(service):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_tasks_database_dbtaskresult RENAME TO tasks")
    answer = service.get("/readyz")
    assert (answer.status, "x-task-lag" in answer.headers) == (200, False)


def test_data_are_not_read_again_within_a_second(mailbox, monkeypatch):
    checks, request = health.HealthChecks(None), RequestFactory().get("/readyz")

    def count_queries():
        with CaptureQueriesContext(connection) as captured:
            assert checks(request).status_code == 200
        return len(captured)

    assert count_queries()
    assert count_queries() == 0
    later = time.monotonic() + health.MIN_SECONDS
    monkeypatch.setattr(health.time, "monotonic", lambda: later)
    assert count_queries()


def test_missing_migrations_make_the_service_unready():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'mailboxes'")
    assert probe() == (503, b"migrations are missing\n")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE mailboxes_mailbox RENAME COLUMN beep TO sound",
        "ALTER TABLE mailboxes_apicredential RENAME COLUMN networks TO addresses",
        "ALTER TABLE mailboxes_emailrecipient RENAME COLUMN position TO place",
        "ALTER TABLE mailboxes_emailrecipient RENAME TO recipients",
        "ALTER TABLE mailboxes_account RENAME TO accounts",
    ],
)
def test_missing_table_or_column_makes_the_service_unready(change, mailbox, service, caplog):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # before a table is altered
        cursor.execute(change)
    assert [probe(), probe()] == [NOT_READABLE] * 2
    assert "The service is not ready: the data cannot be read. " in caplog.text
    assert service.get("/voip/mailbox").status >= 500


def test_wrong_keys_make_the_service_unready(mailbox, settings):
    ring = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([bytes(KEY_BYTES)])
    assert probe() == (503, b"PASS_CODE_KEYS decrypts no pass code\n")
    settings.PASS_CODE_KEYS = ring
    assert probe() == (200, b"ok\n")


def test_lost_pass_code_among_others_does_not_make_the_service_unready(mailbox, settings):
    ring = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([bytes(KEY_BYTES)])
    Mailbox.objects.create(account=mailbox.account, name="Lost", password="4829")
    settings.PASS_CODE_KEYS = ring
    assert probe() == (200, b"ok\n")


@pytest.mark.parametrize("lost", [0, 1])
def test_part_with_only_lost_pass_codes_does_not_make_the_service_unready(
    account, settings, monkeypatch, lost
):
    monkeypatch.setattr(health, "ROWS", 1)
    ring = settings.PASS_CODE_KEYS
    for number in range(2):
        settings.PASS_CODE_KEYS = KeyRing([bytes(KEY_BYTES)]) if number == lost else ring
        Mailbox.objects.create(
            uuid=UUID(int=1 + number), account=account, password="4829", name="A"
        )
    settings.PASS_CODE_KEYS = ring
    check = health.DataCheck()
    assert [check.find_failure() for _ in range(4)] == [None] * 4


def test_revoked_credential_does_not_make_the_service_unready(mailbox, service):
    ApiCredential.objects.get().revoke()
    assert probe() == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_unknown_host_without_https_is_answered_and_not_logged(path, settings, caplog):
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    with caplog.at_level("INFO"):
        assert InProcess().get(path, headers={"Host": "192.0.2.1"}).status == 200
    assert not caplog.records


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_post_is_refused(path):
    assert InProcess().post(path).status == 405


# --- Damaged files --------------------------------------------------------------------------------


def damage_page(url, name, *, last=False):
    """Overwrite the first page of a table or an index, or the last of its rows."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = file.execute("PRAGMA page_size").fetchone()
        root = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = file.execute(root, [name]).fetchone()
    with open(path, "r+b") as file:
        while last:  # follow the right-most pointers (SQLite's file format, 1.6)
            file.seek((page - 1) * size)
            head = file.read(12)
            if head[0] not in (2, 5):  # a leaf
                break
            page = int.from_bytes(head[8:], "big")
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.fixture
def filled(databases):
    """The URL of a filled database, and the headers of a credential."""
    url = databases.copy()
    with default_database(url):
        headers = headers_for(Account.objects.get())
    return url, headers


@on_sqlite
@pytest.mark.parametrize(
    "name",
    [
        "mailboxes_mailbox",
        "active_mailboxes_of_account",
        "sqlite_autoindex_mailboxes_mailbox_1",  # of the primary key
        "mailboxes_emailrecipient",
        "recipients_in_order",
        "sqlite_autoindex_mailboxes_emailrecipient_1",
        "mailboxes_apicredential",
        "sqlite_autoindex_mailboxes_apicredential_1",  # of the secret
        "mailboxes_account",
    ],
)
def test_damaged_page_makes_the_service_unready(filled, name):
    url, _headers = filled
    damage_page(url, name)
    with default_database(url):
        assert [probe(), probe()] == [NOT_READABLE] * 2


@on_sqlite
def test_damage_anywhere_is_found_after_some_probes_and_stays(filled, monkeypatch):
    monkeypatch.setattr(health, "ROWS", 2)
    url, _headers = filled
    damage_page(url, "mailboxes_mailbox", last=True)
    with default_database(url):
        check = health.DataCheck()
        failures = [check.find_failure() for _ in range(20)]
    first = failures.index("the data cannot be read")
    assert set(failures[:first]) <= {None}
    assert set(failures[first:]) == {"the data cannot be read"}


@pytest.mark.long
@on_sqlite
def test_server_whose_calls_fail_is_not_ready(filled):
    url, headers = filled
    damage_page(url, "mailboxes_mailbox")
    with Server(url) as server, closing(OverSocket(headers, server.port)) as service:
        assert service.get("/voip/mailbox").status == 500
        assert probe(service) == NOT_READABLE
        assert service.get("/healthz").status == 200
