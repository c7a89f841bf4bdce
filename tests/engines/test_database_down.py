"""Lookups through the real server while a real PostgreSQL is stopped."""

import json
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.engines.engine import Asterisk, FreeSWITCH, basic_header, parse_columns, parse_user
from tests.server import PreparedServer
from tests.service import OverSocket

pytestmark = pytest.mark.long


@dataclass
class AsteriskOverSocket(OverSocket, Asterisk):
    """Asterisk, calling the real server."""


@dataclass
class FreeSWITCHOverSocket(OverSocket, FreeSWITCH):
    """FreeSWITCH, calling the real server."""


@pytest.fixture
def service(postgres, request):
    with PreparedServer(postgres.create(request.node.name)) as server:
        service = OverSocket(server.headers, port=server.port)
        service.server = server
        yield service
        service.close()


def test_lookups_fail_without_a_body_until_the_database_is_back(service, postgres):
    uuid = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result["uuid"]
    issued = service.server.manage("issue_credential", "acme", "pbx", "--engine", "--json")
    credential = json.loads(issued)
    headers = basic_header(credential["User"], credential["Password"])
    with (
        closing(AsteriskOverSocket(headers, port=service.port)) as asterisk,
        closing(FreeSWITCHOverSocket(headers, port=service.port)) as freeswitch,
    ):
        assert parse_columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
        assert parse_user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"
        with postgres.stopped():
            for _ in range(4):  # until every thread has used its broken connection
                for answer in (
                    asterisk.single(uuid, "acme"),
                    asterisk.multi("acme"),
                    freeswitch.look_up(uuid, "acme"),
                ):
                    assert (answer.status, answer.body) == (503, b"")
                update = asterisk.update(uuid, "acme", "2468")
                assert (update.status, update.body) == (200, b"0")
        for _ in range(8):
            assert parse_columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
            assert parse_user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"
