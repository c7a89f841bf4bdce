"""Every call is answered while the server stops or reloads."""

import os
import signal
import socket
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.guarantees.writers import find_differences, open_writers, sum_counts, writing
from tests.server import PreparedServer, reload, until, workers
from tests.service import OverSocket

CALLERS = 6


@contextmanager
def half_sent_call(server):
    """Begin a call, and yield a function that completes it and returns the answer."""
    lines = [f"{name}: {value}" for name, value in server.headers.items()]
    head = ["POST /voip/mailbox HTTP/1.1", "Host: localhost", *lines, "Content-Length: 17"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:

        def complete():
            connection.sendall(b' "Sales"}')
            return connection.recv(65536)

        connection.sendall(("\r\n".join(head) + '\r\n\r\n{"name":').encode())
        time.sleep(0.5)  # the server has begun to read it
        yield complete


@pytest.fixture
def server(tmp_path):
    with PreparedServer(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        yield server


@pytest.mark.long
@pytest.mark.parametrize("signals", [1, 2])
def test_unfinished_call_is_answered_before_the_server_stops(server, signals):
    with half_sent_call(server) as complete:
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        assert complete().startswith(b"HTTP/1.1 201 ")
    assert server.process.wait(timeout=60) == 0


@pytest.mark.long
def test_unfinished_call_is_answered_by_a_replaced_worker(server):
    with half_sent_call(server) as complete:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "Terminated child process" in server.output())
        time.sleep(0.5)
        assert complete().startswith(b"HTTP/1.1 201 ")


@pytest.mark.long
def test_workers_of_a_killed_parent_stop_and_free_the_port(server):
    running = workers(server)
    with half_sent_call(server) as complete:
        server.process.kill()
        time.sleep(1)
        before = [*map(read_cpu_seconds, running)]
        time.sleep(1)
        after = [*map(read_cpu_seconds, running)]
        assert all(b - a < 0.5 for a, b in zip(before, after, strict=True))
        assert complete().startswith(b"HTTP/1.1 201 ")
    until(lambda: not any(map(is_running, running)))
    socket.create_server(("127.0.0.1", server.port)).close()


def is_running(process) -> bool:
    return Path(f"/proc/{process}").exists()


def read_cpu_seconds(process) -> float:
    """Return the process's CPU time (proc(5), stat), or 0 if it has ended."""
    if not is_running(process):
        return 0
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
def test_reload_under_load_loses_no_call(server, size, promise):
    reloads = size(1, 20)
    headers = server.headers
    with (
        closing(OverSocket(headers, port=server.port)) as service,
        open_writers(CALLERS, headers, server.port) as writers,
    ):
        with writing(writers):
            for _ in range(reloads):
                time.sleep(0.5)
                reload(server)
        wrong = find_differences(service, writers)
    tried = f"{reloads} reloads, {sum_counts(writers, 'acknowledged'):,} acknowledged writes"
    lost = len(wrong) + sum_counts(writers, "unanswered")
    promise("A reload under load loses no call", tried, lost)
