"""Stop and reload while callers call: each call is answered."""

import signal
import socket
import time
from contextlib import closing

import pytest

from tests.server import Server, reload
from tests.service import OverSocket
from tests.trust.ledger import Ledger, differences, writing

CALLERS = 6


def test_a_call_on_its_way_is_answered_before_the_server_goes(tmp_path):
    with Server(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        lines = [f"{name}: {value}" for name, value in server.prepare().items()]
        head = ["POST /voip/mailbox HTTP/1.1", "Host: localhost", *lines, "Content-Length: 17"]
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(("\r\n".join(head) + '\r\n\r\n{"name":').encode())
            time.sleep(0.5)  # it is being read
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(b' "Sales"}')
            assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
        assert server.process.wait(timeout=60) == 0


@pytest.mark.long
def test_a_reload_under_load_loses_no_call(tmp_path, size, promise):
    reloads = size(1, 20)
    with Server(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        headers = server.prepare()
        ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(CALLERS)]
        with writing(ledgers):
            for _ in range(reloads):
                time.sleep(0.5)
                reload(server)
        with closing(OverSocket(headers, port=server.port)) as service:
            wrong = differences(service, ledgers)
        for ledger in ledgers:
            ledger.service.close()
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    unanswered = sum(ledger.unanswered for ledger in ledgers)
    tried = f"{reloads} reloads, {acknowledged:,} acknowledged writes"
    promise("The server is reloaded under load", tried, len(wrong) + unanswered)
