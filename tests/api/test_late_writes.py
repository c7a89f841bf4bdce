"""A write that timed out on a lock is not made after the lock is released."""

import time
from contextlib import closing

import psycopg
import pytest

from tests.server import PreparedServer
from tests.service import OverSocket


@pytest.fixture
def service_and_connection(postgres, request):
    """A service with a timeout of two seconds, and a connection to its database."""
    url = postgres.create("late_" + request.node.callspec.params["method"].lower())
    with (
        PreparedServer(url, DATABASE_TIMEOUT="2") as server,
        psycopg.connect(url) as connection,
        closing(OverSocket(server.headers, port=server.port)) as service,
    ):
        yield service, connection


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "table"), [("PUT", "mailboxes_mailbox"), ("POST", "mailboxes_account")]
)
def test_timed_out_write_is_not_made_later(service_and_connection, method, table):
    service, connection = service_and_connection
    uuid = service.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
    path = f"/voip/mailbox/{uuid}" if method == "PUT" else "/voip/mailbox"
    connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")
    assert service.call(method, path, {"name": "Late"}).status == 503
    connection.rollback()
    time.sleep(0.5)  # for a write that still waits
    assert [mailbox["name"] for mailbox in service.get("/voip/mailbox").result] == ["Sales"]
