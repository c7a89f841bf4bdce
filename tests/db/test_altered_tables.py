"""Columns of a real PostgreSQL change type after a real server has prepared queries."""

import json
from contextlib import closing

import psycopg
import pytest

from tests.engines.engine import Asterisk, FreeSWITCH, basic_header, parse_columns, parse_user
from tests.server import PreparedServer
from tests.service import OverSocket

pytestmark = pytest.mark.long

MAILBOXES = "ALTER TABLE mailboxes_mailbox ALTER COLUMN name TYPE varchar(120)"
CREDENTIALS = "ALTER TABLE mailboxes_apicredential ALTER COLUMN networks TYPE varchar(1000)"
MANY = range(12)  # each of four threads makes three calls, after which the query is prepared


@pytest.fixture
def service(postgres, request):
    """A service on a database of its own, at `service.url`."""
    url = postgres.create(request.node.name)
    with PreparedServer(url, WEB_CONCURRENCY="1") as server:
        service = OverSocket(server.headers, port=server.port)
        service.url, service.server = url, server
        yield service
        service.close()


@pytest.fixture
def path(service):
    uuid = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result["uuid"]
    return f"/voip/mailbox/{uuid}"


def run_sql(service, *commands):
    with psycopg.connect(service.url) as connection:
        for command in commands:
            connection.execute(command)


def test_api_reads_do_not_fail(service, path):
    assert {service.get(path).status for _ in MANY} == {200}
    run_sql(service, MAILBOXES, CREDENTIALS)
    assert {service.get(path).status for _ in MANY} == {200}


class AsteriskOverSocket(OverSocket, Asterisk):
    pass


class FreeSWITCHOverSocket(OverSocket, FreeSWITCH):
    pass


def test_engine_lookups_do_not_fail(service, path):
    credential = json.loads(
        service.server.manage("issue_credential", "acme", "pbx", "--engine", "--json")
    )
    headers, uuid = (
        basic_header(credential["User"], credential["Password"]),
        path.rpartition("/")[2],
    )

    def look_up():
        assert parse_columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
        assert parse_user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"

    with (
        closing(AsteriskOverSocket(headers, port=service.port)) as asterisk,
        closing(FreeSWITCHOverSocket(headers, port=service.port)) as freeswitch,
    ):
        for _ in MANY:
            look_up()
        run_sql(service, MAILBOXES, CREDENTIALS)
        for _ in MANY:
            look_up()


def test_mailbox_writes_do_not_fail(service, path):
    assert {service.patch(path, {"name": f"{number}"}).status for number in MANY} == {200}
    run_sql(service, MAILBOXES, CREDENTIALS)
    assert {service.patch(path, {"name": f"{number}"}).status for number in MANY} == {200}


def test_recipient_write_fails_at_most_once_per_connection_with_503(service, path):
    """The failure rolls back its transaction, which cannot be continued."""
    path = f"{path}/email-recipient"
    path = f"{path}/{service.post(path, {'email': 'pete@acme.example'}).result['uuid']}"
    for number in MANY:
        assert service.put(path, {"email": f"{number}@acme.example"}).status == 200
    run_sql(service, MAILBOXES)
    answers = [service.put(path, {"email": f"{number}@acme.example"}) for number in MANY]
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {503}
    assert len(refused) <= 4  # one for each connection
    assert answers[-1].status == 200
