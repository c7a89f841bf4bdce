"""Stop and reload while callers call: each call is answered."""

import os
import signal
import socket
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.guarantees.ledger import Ledger, differences, writing
from tests.server import Server, reload, until, workers
from tests.service import OverSocket

CALLERS = 6


@contextmanager
def half_sent_call(server):
    """Begin a call, and yield a function that completes it and returns the answer's first bytes."""
    lines = [f"{name}: {value}" for name, value in server.prepare().items()]
    head = ["POST /voip/mailbox HTTP/1.1", "Host: localhost", *lines, "Content-Length: 17"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:

        def complete():
            connection.sendall(b' "Sales"}')
            return connection.recv(65536)

        connection.sendall(("\r\n".join(head) + '\r\n\r\n{"name":').encode())
        time.sleep(0.5)  # it is being read
        yield complete


@pytest.fixture
def server(tmp_path):
    with Server(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        yield server


@pytest.mark.parametrize("signals", [1, 2])
def test_call_on_its_way_is_answered_before_the_server_stops(server, signals):
    with half_sent_call(server) as complete:
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        assert complete().startswith(b"HTTP/1.1 201 ")
    assert server.process.wait(timeout=60) == 0


def test_call_on_its_way_is_answered_by_a_worker_that_is_replaced(server):
    with half_sent_call(server) as complete:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "Terminated child process" in server.output())
        time.sleep(0.5)
        assert complete().startswith(b"HTTP/1.1 201 ")


def test_workers_of_a_killed_parent_stop_and_free_the_port(server):
    running = workers(server)
    with half_sent_call(server) as complete:
        server.process.kill()
        time.sleep(1)
        before = [*map(processor_seconds, running)]
        time.sleep(1)
        after = [*map(processor_seconds, running)]
        assert all(b - a < 0.5 for a, b in zip(before, after, strict=True))
        assert complete().startswith(b"HTTP/1.1 201 ")
    until(lambda: not any(map(is_running, running)))
    socket.create_server(("127.0.0.1", server.port)).close()


def is_running(process) -> bool:
    return Path(f"/proc/{process}").exists()


def processor_seconds(process) -> float:
    """Return the seconds that the process has computed (proc(5), stat), 0 if it has ended."""
    if not is_running(process):
        return 0
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
def test_a_reload_under_load_loses_no_call(server, size, promise):
    reloads = size(1, 20)
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
