"""A column of a real PostgreSQL changes its type under a real server, which has prepared queries of it."""

import json
from contextlib import closing

import psycopg
import pytest

from tests.engines.engine import Asterisk, FreeSWITCH, basic, columns, user
from tests.server import Server
from tests.service import OverSocket

pytestmark = pytest.mark.long

MAILBOXES = "ALTER TABLE mailboxes_mailbox ALTER COLUMN name TYPE varchar(120)"
CREDENTIALS = "ALTER TABLE mailboxes_apicredential ALTER COLUMN networks TYPE varchar(1000)"
OFTEN = range(12)  # one thread of four has asked three times by then, and has it prepared


@pytest.fixture
def service(postgres, request):
    """On a database of its own, at `url`."""
    url = postgres.create(request.node.name)
    with Server(url, WEB_CONCURRENCY="1") as server:
        service = OverSocket(server.prepare(), port=server.port)
        service.url, service.server = url, server
        yield service
        service.close()


@pytest.fixture
def path(service):
    uuid = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result["uuid"]
    return f"/voip/mailbox/{uuid}"


def run(service, *statements):
    with psycopg.connect(service.url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_no_read_fails(service, path):
    assert {service.get(path).status for _ in OFTEN} == {200}
    run(service, MAILBOXES, CREDENTIALS)
    assert {service.get(path).status for _ in OFTEN} == {200}


class AsteriskOverSocket(OverSocket, Asterisk):
    """Asterisk, at the real server."""


class FreeSWITCHOverSocket(OverSocket, FreeSWITCH):
    """FreeSWITCH, at the real server."""


def test_no_lookup_of_an_engine_fails(service, path):
    shown = json.loads(
        service.server.manage("issue_credential", "acme", "pbx", "--engine", "--json")
    )
    headers, uuid = basic(shown["User"], shown["Password"]), path.rpartition("/")[2]

    def look_up():
        assert columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
        assert user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"

    with (
        closing(AsteriskOverSocket(headers, port=service.port)) as asterisk,
        closing(FreeSWITCHOverSocket(headers, port=service.port)) as freeswitch,
    ):
        for _ in OFTEN:
            look_up()
        run(service, MAILBOXES, CREDENTIALS)
        for _ in OFTEN:
            look_up()


def test_no_write_of_a_mailbox_fails(service, path):
    assert {service.patch(path, {"name": f"{number}"}).status for number in OFTEN} == {200}
    run(service, MAILBOXES, CREDENTIALS)
    assert {service.patch(path, {"name": f"{number}"}).status for number in OFTEN} == {200}


def test_a_longer_write_fails_once_at_most_and_says_to_try_again(service, path):
    """What its transaction had done by then is undone: it cannot be gone on with."""
    path = f"{path}/email-recipient"
    path = f"{path}/{service.post(path, {'email': 'pete@acme.example'}).result['uuid']}"
    for number in OFTEN:
        assert service.put(path, {"email": f"{number}@acme.example"}).status == 200
    run(service, MAILBOXES)
    answers = [service.put(path, {"email": f"{number}@acme.example"}) for number in OFTEN]
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {503}
    assert len(refused) <= 4  # once a connection
    assert answers[-1].status == 200
