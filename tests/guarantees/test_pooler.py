"""The service behind a real PgBouncer that lends each transaction another connection."""

import time
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command

from mailboxes.models import Account
from tests.databases import default_database, headers_for
from tests.engines.engine import FORM, encode_form, engine_headers, parse_columns
from tests.guarantees.ledger import LIST, Ledger, differences, writing
from tests.proxies import PgBouncer
from tests.security.browser import Browser, create_superuser
from tests.server import Server
from tests.service import OverSocket

CONNECTIONS = 2  # for all threads of the service


@pytest.fixture(scope="module")
def database(postgres):
    """The URL of PostgreSQL itself: migrations and backups go there."""
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
def ledgers(server, headers):
    ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(6)]
    yield ledgers
    for ledger in ledgers:
        ledger.service.close()


def test_many_callers_share_few_connections(database, service, ledgers, size, promise):
    with writing(ledgers):
        time.sleep(size(1, 30))
    for ledger in ledgers:
        ledger.settle()
    wrong = differences(service, ledgers)
    with psycopg.connect(database) as asked:
        (connections,) = asked.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert 1 <= connections <= CONNECTIONS
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    told = f"{acknowledged:,} acknowledged writes of {len(ledgers)} callers by {connections} connections"
    promise("Behind PgBouncer, by transactions", told, len(wrong))


def test_a_program_repeats_a_call(service):
    key = {"Idempotency-Key": "order-66"}
    answers = [service.post(LIST, {"name": "Lobby"}, headers=key) for _ in range(3)]
    assert {answer.result["uuid"] for answer in answers} == {answers[0].result["uuid"]}
    assert answers[-1].headers["idempotency-replayed"] == "true"


def test_an_engine_looks_up_and_changes(database, server, service, account):
    uuid = service.post(LIST, {"name": "Sales", "password": "4829"}).result["uuid"]
    with default_database(database):
        engine = OverSocket(engine_headers(account), port=server.port)
    asked = {"headers": FORM, "body": encode_form(mailbox=uuid, context="acme")}
    found = engine.call("POST", "/asterisk/voicemail/single", **asked)
    assert parse_columns(found.body)["password"] == "4829"
    update = f"/asterisk/voicemail/update?{encode_form(context='acme', mailbox=uuid)}"
    assert engine.call("POST", update, b"password=5938", headers=FORM).body == b"1"
    engine.close()
    assert service.get(f"{LIST}/{uuid}").result["password"] == "5938"


def test_staff_import_and_export_while_callers_write(server, ledgers):
    rows = "".join(f"acme,Room {number},\n" for number in range(600))  # more than are read at once
    with Browser(server.port) as browser, writing(ledgers):
        assert browser.sign_in().status == 302
        preview = browser.upload("/import/", f"account,name,password\n{rows}")
        assert preview.status == 302
        page = preview.headers["location"]
        # Rows are checked for about a second a call, and the writers are as busy: the page has a button.
        while f"{page}check/" in (shown := browser.get(page).body.decode()):
            assert browser.post(f"{page}check/").status == 302
        assert "600 created" in shown
        assert browser.post(f"{page}write/").status == 302
        for _ in range(5):
            file = browser.post("/export/?all=on&q=Room", {"delimiter": ","})
            assert file.body.decode().count("Room ") == 600
