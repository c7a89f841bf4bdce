"""The production server's own part: few threads, many callers, and none that waits for another."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from uuid import uuid4

import pytest

from mailboxes import together
from tests.application import PIECE
from tests.server import ROOT, Server, children, until

THREADS = 3
LIST = "/voip/mailbox"
HELD = f"{LIST}/00000000-0000-4000-8000-000000000000"  # until another asks to let go


class Plain(Server):
    """The server with an application that does as it is asked, in one process."""

    def __init__(self, *options, files=1024):
        options = ["--workers=1", f"--threads={THREADS}", *options]
        super().__init__("sqlite://:memory:", GUNICORN_CMD_ARGS=" ".join(options))
        self.files = files

    def command(self):
        """With so many files at most, its connections among them."""
        gunicorn = os.path.join(os.path.dirname(sys.executable), "gunicorn")
        config = ["--config=python:config.server", f"--bind=127.0.0.1:{self.port}"]
        limited = f'ulimit -n {self.files} && exec "$0" "$@"'
        return ["sh", "-c", limited, gunicorn, *config, "tests.application:application"]

    def caller(self):
        return Caller(self.port)


class Caller:
    """Who says word for word what is sent."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.socket.close()

    def say(self, text):
        self.socket.sendall(text.encode())

    def ask(self, path, *headers, body="", version="1.1"):
        lines = [f"POST {path} HTTP/{version}", "Host: localhost", f"Content-Length: {len(body)}"]
        self.say("\r\n".join([*lines, *headers, "", body]))

    def hears(self) -> tuple[int, dict, bytes]:
        """The next answer: status, headers in lower case, body. Status 0: the server has hung up."""
        start = self.file.readline()
        if not start:
            return 0, {}, b""
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.decode().rstrip().split(": ", 1)
            headers[name.lower()] = value
        if "content-length" in headers:
            return int(start[9:12]), headers, self.file.read(int(headers["content-length"]))
        return int(start[9:12]), headers, self.chunks()

    def chunks(self):
        body = b""
        while size := int(self.file.readline() or b"0", 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body

    def hears_text(self) -> str:
        return self.hears()[2].decode()


@pytest.fixture(scope="module")
def server():
    with Plain() as running:
        yield running


@pytest.fixture
def caller(server):
    with server.caller() as caller:
        yield caller


@contextmanager
def many(server, count):
    with ExitStack() as stack:
        yield [stack.enter_context(server.caller()) for _ in range(count)]


def test_many_connections_beside_few_threads(server):
    """Some have said nothing yet, some half of it; each is answered once it has asked."""
    with many(server, 300) as callers:
        for caller in callers[::2]:
            caller.say("POST /half HTTP/1.1\r\nHost: loc")
        for number, caller in enumerate(callers):
            caller.say(
                "POST /half HTTP/1.1\r\nHost: localhost\r\n\r\n" if number % 2 else "alhost\r\n\r\n"
            )
        assert {caller.hears_text() for caller in callers} == {"POST /half 0"}
        for number, caller in enumerate(callers):
            caller.ask(f"/{number}", body="x" * number)
        assert [caller.hears_text() for caller in callers] == [f"POST /{n} {n}" for n in range(300)]


def test_who_is_answered_late_keeps_nobody_else_waiting(server, caller):
    with many(server, THREADS - 1) as held:
        for other in held:
            other.ask("/hold")
        caller.ask("/release")  # answered by the thread that is left
        assert caller.hears_text() == "done"
        assert {other.hears_text() for other in held} == {"let go"}


def test_requests_one_after_the_other_without_waiting(caller):
    """The second is there already, the third comes in halves."""
    caller.say("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTT")
    assert [caller.hears_text(), caller.hears_text()] == ["GET /1 0", "GET /2 0"]
    caller.say("P/1.1\r\n\r\n")
    assert caller.hears_text() == "GET /3 0"


def test_brief_requests_that_are_there_already_are_told_of_to_the_first(server):
    """Each is answered as ever, between others that are not brief, come in halves or hang up."""
    mailboxes = [f"{LIST}/{uuid4()}" for _ in range(40)]
    told = []
    with many(server, len(mailboxes)) as callers:
        while len(told) < 50:
            with server.caller() as other:
                for number, (caller, path) in enumerate(zip(callers, mailboxes, strict=True)):
                    caller.say(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
                    if number % 10 == 5:
                        caller.ask("/half", body="x" * number)
                        caller.say(f"GET {path}/ HTTP/1.1\r\nHo")
                other.say(f"GET {mailboxes[0]} HTTP/1.1\r\nHost: a\r\n\r\n")
            for number, (caller, path) in enumerate(zip(callers, mailboxes, strict=True)):
                _, headers, text = caller.hears()
                assert text.decode() == f"GET {path} 0"
                if after := headers.get("x-next", "").split():
                    told.append(after)
                    assert after[0] == path
                    assert 2 <= len(after) <= together.MOST
                    assert {each.rstrip("/") for each in after} <= {*mailboxes}
                if number % 10 == 5:
                    assert caller.hears_text() == f"POST /half {number}"
                    caller.say("st: a\r\n\r\n")
                    assert caller.hears_text() == f"GET {path}/ 0"


@contextmanager
def stopped(server):
    """Nobody is answered meanwhile: all that is asked is there at the same time then."""
    (worker,) = children(server.process.pid)
    os.kill(worker, signal.SIGSTOP)
    yield
    os.kill(worker, signal.SIGCONT)


def test_whoever_is_taken_with_one_that_is_stuck_is_answered():
    """By another thread."""
    with Plain() as server, server.caller() as caller, many(server, 6) as callers:
        for each in (caller, *callers):
            each.ask("/half")
            assert each.hears()[0] == 200
        with stopped(server):
            caller.say(f"GET {HELD} HTTP/1.1\r\nHost: a\r\n\r\n")
            for other in callers[1:]:
                other.say(f"GET {LIST}/{uuid4()} HTTP/1.1\r\nHost: a\r\n\r\n")
            callers[0].ask("/half")
        assert {other.hears()[0] for other in callers} == {200}
        callers[0].ask("/release")
        assert [callers[0].hears_text(), caller.hears_text()] == ["done", "let go"]


@pytest.mark.parametrize(
    ("path", "are_told"), [(LIST, True), ("/exact", False), (f"{LIST}?a=b", True)]
)
def test_a_list_is_brief_where_it_was(server, path, are_told):
    with many(server, 40) as callers:

        def next_of_each():
            for caller in callers:
                caller.say(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            return {len(caller.hears()[1].get("x-next", "").split()) > 1 for caller in callers}

        assert next_of_each() == {False}
        seen = set().union(*(next_of_each() for _ in range(20)))
        assert (True in seen) == are_told


def test_who_asks_to_hang_up_hears_the_answer_whole(caller):
    """Though more has been sent, which nobody reads: closed at once, TCP would take the answer back."""
    caller.ask("/exact?40", "Connection: close")
    caller.say("x" * 1000)
    status, headers, body = caller.hears()
    assert (status, headers["connection"], body) == (200, "close", PIECE * 40)
    assert caller.hears()[0] == 0


def test_who_has_said_all_and_listens_on(caller):
    caller.ask("/half")
    caller.socket.shutdown(socket.SHUT_WR)
    assert caller.hears_text() == "POST /half 0"
    assert caller.hears()[0] == 0


def test_who_waits_to_be_asked_for_the_body(caller):
    caller.say("PUT /x HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert caller.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert caller.file.readline() == b"\r\n"
    caller.say("abc")
    assert caller.hears_text() == "PUT /x 3"


@pytest.mark.parametrize("path", ["/exact", "/streamed", "/file"])
@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_long_answers(caller, path, pieces):
    for _ in range(2):
        caller.ask(f"{path}?{pieces}")
        assert caller.hears()[2] == PIECE * pieces


def test_a_body_that_nobody_reads(caller):
    """What follows it is found, or the connection closed: never is its rest taken for a request."""
    caller.ask("/unread", body="GET /smuggled HTTP/1.1\r\n\r\n")
    assert caller.hears_text() == "refused"
    caller.ask("/next")
    assert caller.hears_text() == "POST /next 0"


@pytest.mark.parametrize("path", ["/fail", "/stop", "/end", "/breaks-off"])
def test_a_fault_takes_its_own_connection_alone(server, path):
    """More of them than there are threads, each of which lives on."""
    (before,) = children(server.process.pid)
    for _ in range(2 * THREADS):
        with server.caller() as caller:
            caller.ask(path)
            assert caller.file.read().startswith(b"HTTP/1.1 500" if path == "/fail" else b"")
    with many(server, THREADS) as callers:
        for caller in callers:
            caller.ask("/slow")
        assert [caller.hears_text() for caller in callers] == ["done"] * THREADS
    assert children(server.process.pid) == [before]


def test_nothing_follows_an_answer_whose_end_fails(caller):
    caller.say("GET /fail-at-end HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP/1.1 500" not in caller.file.read()


def test_who_hangs_up_during_an_answer_is_no_fault(server):
    before = server.output()
    for path in ("/streamed?300", "/file?300"):
        with server.caller() as caller:
            caller.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
            caller.socket.recv(10)
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with server.caller() as caller:
        caller.ask("/")
        assert caller.hears_text() == "POST / 0"
    assert server.output() == before


def test_slow_readers_hold_no_thread(server, caller):
    with many(server, 2 * THREADS) as readers:
        for reader in readers:
            reader.ask("/exact?100")
        caller.ask("/meanwhile")
        assert caller.hears_text() == "POST /meanwhile 0"
        for reader in readers:
            assert reader.hears()[2] == PIECE * 100


def test_more_answers_at_once_than_are_kept(server):
    """128 MiB of them: each is whole nevertheless."""

    def ask(reader):
        reader.ask("/exact?128")
        return len(reader.hears()[2])

    with many(server, 16) as readers, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, readers)) == [128 * len(PIECE)] * 16


def test_who_says_nothing_for_long_is_let_go():
    with Plain("--keep-alive=1") as server, server.caller() as silent, server.caller() as caller:
        caller.ask("/once")
        assert caller.hears_text() == "POST /once 0"
        assert (caller.hears()[0], silent.hears()[0]) == (0, 0)


@pytest.mark.long
def test_who_waits_for_a_thread_is_not_late():
    with Plain("--keep-alive=1") as server, many(server, 6 * THREADS) as callers:
        for caller in callers:
            caller.ask("/slow")
        assert {caller.hears_text() for caller in callers} == {"done"}


def come_and_go(server, chance) -> list[str]:
    """A caller's doings, some of them when its time is just up: what it was told that it did not ask."""
    wrong = []
    for _ in range(10):
        with server.caller() as caller, suppress(ConnectionError):
            count = chance.randrange(1, 9)
            match chance.choice(["asks", "asks", "breaks off", "hangs up", "is late"]):
                case "asks":
                    for number in range(count):
                        caller.ask(f"/{number}", body="x" * number)
                    told = [caller.hears_text() for _ in range(count)]
                    wrong += [t for n, t in enumerate(told) if t != f"POST /{n} {n}"]
                case "breaks off":
                    caller.say("GET /par")
                case "hangs up":  # in the middle of the answer, without a word
                    caller.ask(f"/exact?{8 * count}")
                    caller.socket.recv(1000)
                    caller.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                case "is late":
                    time.sleep(chance.uniform(0.9, 1.2))
                    caller.ask("/0")
                    wrong += [t for t in [caller.hears_text()] if t not in ("", "POST /0 0")]
    return wrong


@pytest.mark.long
def test_callers_who_come_and_go():
    """Nobody hears another's answer; and every connection is closed in the end, none of them twice."""
    with Plain("--keep-alive=1") as server:
        (process,) = children(server.process.pid)
        open_before = len(os.listdir(f"/proc/{process}/fd"))
        with ThreadPoolExecutor(40) as pool:
            found = pool.map(lambda seed: come_and_go(server, Random(seed)), range(40))
            assert [wrong for wrong in found if wrong] == []
        until(lambda: len(os.listdir(f"/proc/{process}/fd")) <= open_before)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0  # it waits for nobody: it has counted right
        assert "Error" not in server.output()


@pytest.mark.long
def test_who_stops_in_the_middle_is_let_go(caller):
    caller.say("POST /half HTTP/1.1\r\nHost: loc")
    assert caller.hears()[0] == 0  # after 20 seconds, not 75


def test_more_callers_than_connections():
    """The others wait; and those that are answered are asked to make room."""
    with Plain("--worker-connections=10") as server, many(server, 30) as callers:
        for caller in callers:
            caller.ask("/x")
        for caller in callers:
            assert caller.hears_text() == "POST /x 0"
            caller.__exit__()


def test_more_callers_than_descriptors():
    """The process lives on, and tells why they wait; each is answered when others have gone."""
    with Plain(files=40) as server:
        (before,) = children(server.process.pid)
        with many(server, 60) as callers:
            until(lambda: "Callers have to wait: Too many open files." in server.output())
            for caller in callers:
                caller.ask("/x")
                assert caller.hears_text() == "POST /x 0"
                caller.__exit__()
        assert children(server.process.pid) == [before]


def test_a_process_that_is_replaced_after_so_many_requests():
    with Plain("--max-requests=5") as server:
        for _ in range(20):
            with server.caller() as caller:
                caller.ask("/x", "Connection: close")
                assert caller.hears_text() == "POST /x 0"


@pytest.mark.parametrize(
    "told",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGQUIT, marks=pytest.mark.long),
    ],
)
def test_what_is_on_its_way_is_answered_at_the_end(told):
    """An answer that is being made, one that is being read, a request that comes late on an open connection."""
    with Plain() as server, many(server, 3) as (waits, reads, asks):
        asks.ask("/x")
        assert asks.hears_text() == "POST /x 0"
        reads.ask("/exact?128")
        waits.ask("/slow")
        time.sleep(0.2)  # it is being answered
        for process in [server.process.pid, *children(server.process.pid)]:
            os.kill(process, told)  # as Ctrl-C does
        assert waits.hears_text() == "done"
        is_last = False
        while not is_last:  # it may come before the signal does
            asks.ask("/x")
            status, headers, body = asks.hears()
            assert (status, body) == (200, b"POST /x 0")
            is_last = headers["connection"] == "close"
        assert reads.hears()[2] == PIECE * 128
        assert server.process.wait(timeout=60) == 0


def test_elsewhere_than_on_linux_it_says_what_it_needs():
    without = "import select, sys; del select.epoll; sys.argv[1:] = ['serve']; import manage"
    done = subprocess.run(
        [sys.executable, "-c", f"{without}; manage.main()"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert re.fullmatch("CommandError: .+ Linux.+\n", done.stderr)
