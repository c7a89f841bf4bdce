"""A real PostgreSQL stops under a real server: an engine gets nothing that it could take for a mailbox."""

import json
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.engines.engine import Asterisk, FreeSWITCH, basic, columns, user
from tests.server import Server
from tests.service import OverSocket

pytestmark = pytest.mark.long


@dataclass
class AsteriskOverSocket(OverSocket, Asterisk):
    """Asterisk, at the real server."""


@dataclass
class FreeSWITCHOverSocket(OverSocket, FreeSWITCH):
    """FreeSWITCH, at the real server."""


@pytest.fixture
def service(postgres, request):
    with Server(postgres.create(request.node.name)) as server:
        service = OverSocket(server.prepare(), port=server.port)
        service.server = server
        yield service
        service.close()


def test_nothing_while_it_is_down_and_mailboxes_once_it_is_back(service, postgres):
    uuid = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result["uuid"]
    issued = service.server.manage("issue_credential", "acme", "pbx", "--engine", "--json")
    shown = json.loads(issued)
    headers = basic(shown["User"], shown["Password"])
    with (
        closing(AsteriskOverSocket(headers, port=service.port)) as asterisk,
        closing(FreeSWITCHOverSocket(headers, port=service.port)) as freeswitch,
    ):
        assert columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
        assert user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"
        postgres.stop()
        for _ in range(4):  # every thread's connection meets it
            for answer in (
                asterisk.single(uuid, "acme"),
                asterisk.multi("acme"),
                freeswitch.look_up(uuid, "acme"),
            ):
                assert (answer.status, answer.body) == (503, b"")
            update = asterisk.update(uuid, "acme", "2468")
            assert (update.status, update.body) == (200, b"0")
        postgres.start()
        for _ in range(8):
            assert columns(asterisk.single(uuid, "acme").body)["password"] == "4829"
            assert user(freeswitch.look_up(uuid, "acme")).params["vm-password"] == "4829"
