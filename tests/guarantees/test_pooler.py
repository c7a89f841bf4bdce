"""The service with PgBouncer, which gives each transaction any connection of its pool."""

import time
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command

from mailboxes.models import Account
from tests.databases import default_database, headers_for
from tests.engines.engine import FORM, encode_form, engine_headers, parse_columns
from tests.guarantees.writers import LIST, find_differences, open_writers, sum_counts, writing
from tests.proxies import PgBouncer
from tests.security.browser import Browser, create_superuser
from tests.server import Server
from tests.service import OverSocket

CONNECTIONS = 2  # shared by all threads of the service


@pytest.fixture(scope="module")
def database(postgres):
    """The URL of PostgreSQL itself, for migrations and backups."""
    url = postgres.create(f"pooled_{uuid4().hex}")
    with default_database(url):
        call_command("migrate", verbosity=0)
    return url


@pytest.fixture(scope="module")
def pgbouncer(postgres):
    with PgBouncer(postgres, CONNECTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def server(database, pgbouncer):
    name = database.rpartition("/")[2]
    with Server(pgbouncer.url(name), DATABASE_PREPARED="off") as running:
        yield running


@pytest.fixture(scope="module")
def account(database):
    with default_database(database):
        create_superuser("rosa")
        return Account.objects.create(name="acme")


@pytest.fixture(scope="module")
def headers(database, account):
    with default_database(database):
        return headers_for(account)


@pytest.fixture
def service(server, headers):
    service = OverSocket(headers, port=server.port)
    yield service
    service.close()


@pytest.fixture
def writers(server, headers):
    with open_writers(6, headers, server.port) as writers:
        yield writers


def test_writers_share_few_connections_and_lose_no_write(database, service, writers, size, promise):
    with writing(writers):
        time.sleep(size(1, 30))
    for writer in writers:
        writer.settle()
    wrong = find_differences(service, writers)
    with psycopg.connect(database) as connection:
        (connections,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert 1 <= connections <= CONNECTIONS
    acknowledged = sum_counts(writers, "acknowledged")
    tried = f"{acknowledged:,} acknowledged writes of {len(writers)} callers over {connections} connections"
    promise("Writes through PgBouncer (transaction pooling) survive", tried, len(wrong))


def test_repeated_call_is_executed_once(service):
    key = {"Idempotency-Key": "order-66"}
    answers = [service.post(LIST, {"name": "Lobby"}, headers=key) for _ in range(3)]
    assert {answer.result["uuid"] for answer in answers} == {answers[0].result["uuid"]}
    assert answers[-1].headers["idempotency-replayed"] == "true"


def test_engine_reads_and_changes_a_pass_code(database, server, service, account):
    uuid = service.post(LIST, {"name": "Sales", "password": "4829"}).result["uuid"]
    with default_database(database):
        engine = OverSocket(engine_headers(account), port=server.port)
    query = encode_form(mailbox=uuid, context="acme")
    found = engine.call("POST", "/asterisk/voicemail/single", query, headers=FORM)
    assert parse_columns(found.body)["password"] == "4829"
    update = f"/asterisk/voicemail/update?{encode_form(context='acme', mailbox=uuid)}"
    assert engine.call("POST", update, b"password=5938", headers=FORM).body == b"1"
    engine.close()
    assert service.get(f"{LIST}/{uuid}").result["password"] == "5938"


def test_import_and_export_work_during_writes(server, writers):
    # There are more rows than one query of the export reads.
    rows = "".join(f"acme,Room {number},\n" for number in range(600))
    with Browser(server.port) as browser, writing(writers):
        assert browser.sign_in().status == 302
        preview = browser.upload("/import/", f"account,name,password\n{rows}")
        assert preview.status == 302
        page = preview.headers["location"]
        # A request checks rows for about a second, and then the page has a button to continue.
        while f"{page}check/" in (html := browser.get(page).body.decode()):
            assert browser.post(f"{page}check/").status == 302
        assert "600 created" in html
        assert browser.post(f"{page}write/").status == 302
        for _ in range(5):
            file = browser.post("/export/?all=on&q=Room", {"delimiter": ","})
            assert file.body.decode().count("Room ") == 600
