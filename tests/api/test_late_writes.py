"""Who was told that nothing was written finds nothing written, whenever what it waited for is let go."""

import time
from contextlib import closing

import psycopg
import pytest

from tests.server import Server
from tests.service import OverSocket


@pytest.fixture
def held(postgres, request):
    """A service that waits two seconds, and what holds a row of its database."""
    url = postgres.create("late_" + request.node.callspec.params["method"].lower())
    with (
        Server(url, DATABASE_TIMEOUT="2") as server,
        psycopg.connect(url) as holder,
        closing(OverSocket(server.prepare(), port=server.port)) as service,
    ):
        yield service, holder


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "table"), [("PUT", "mailboxes_mailbox"), ("POST", "mailboxes_account")]
)
def test_what_waited_in_vain_is_not_written_later(held, method, table):
    service, holder = held
    uuid = service.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
    path = f"/voip/mailbox/{uuid}" if method == "PUT" else "/voip/mailbox"
    holder.execute(f"SELECT 1 FROM {table} FOR UPDATE")
    assert service.call(method, path, {"name": "Late"}).status == 503
    holder.rollback()
    time.sleep(0.5)  # for what waits still, to be written
    assert [mailbox["name"] for mailbox in service.get("/voip/mailbox").result] == ["Sales"]
