"""What Sentry gets to see of a crash, played by a server that keeps all that is sent to it."""

import base64
import gzip
import json
import secrets
import socket
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from mailboxes.encryption import KEY_BYTES
from tests.conftest import database_url, headers_for
from tests.postgres import free_port
from tests.server import ROOT, Server, on_database
from tests.service import OverSocket, shows

CODE = "4829"
COOKIE = "kept-by-a-browser"
FAULT = {"DJANGO_SETTINGS_MODULE": "tests.faulty", "FAULT": "cannot seal {}"}

pytestmark = pytest.mark.django_db(transaction=True)


class Ingest(BaseHTTPRequestHandler):
    """Takes envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.received.put(f"{self.path}\n{self.headers}\n{body.decode()}")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        """Nothing: the tests read what is received."""


@pytest.fixture(scope="module")
def sentry():
    with ThreadingHTTPServer(("127.0.0.1", 0), Ingest) as server:
        server.received = Queue()
        threading.Thread(target=server.serve_forever).start()
        server.dsn = f"http://key@127.0.0.1:{server.server_port}/1"
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server(sentry, django_db_setup):
    """The real server, which cannot seal a pass code, and says so by telling it."""
    with Server(database_url(), SENTRY_DSN=sentry.dsn, **FAULT) as running:
        yield running


@pytest.fixture
def service(server, account):
    with closing(OverSocket(headers_for(account), port=server.port)) as service:
        yield service


def event(envelope) -> dict:
    """The one item of an envelope, after its head and the item's own."""
    *_, item = envelope.strip().splitlines()
    return json.loads(item)


def leaves(value):
    """All names and values in JSON, at any depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def crash(service, **headers):
    """A call whose pass code meets the fault: in the body, in the query, and next to it secrets."""
    headers["Cookie"] = f"sessionid={COOKIE}; csrftoken={COOKIE}"
    answer = service.post(
        f"/voip/mailbox?password={CODE}",
        {"name": "Private line", "password": CODE},
        headers=headers,
    )
    assert answer.status == 500
    return answer


def test_a_crash_is_reported_by_where_it_happened_and_to_which_request(service, sentry):
    answer = crash(service)
    report = event(sentry.received.get(timeout=20))
    assert report["tags"] == {"request_id": answer.headers["x-request-id"]}
    (error,) = report["exception"]["values"]
    assert error["type"] == "RuntimeError"
    frame = error["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["context_line"].split()[0]) == ("encrypt", "raise")


def test_nothing_that_the_caller_sent_is_in_it(service, sentry):
    crash(service)
    words = [str(word) for word in leaves(event(sentry.received.get(timeout=20)))]
    secret = service.headers["X-Auth-Password"]
    for sent in (secret, COOKIE, "Private line", "acme", "cannot seal"):
        assert [word for word in words if sent in word] == []
    assert [word for word in words if shows(word, CODE)] == []


def test_a_command_that_crashes_is_reported_alike(sentry, db):
    environment = on_database(database_url(), SENTRY_DSN=sentry.dsn, **FAULT)
    command = [sys.executable, "manage.py", "load_demo", "--accounts=1", "--mailboxes=9"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "RuntimeError: cannot seal" in done.stderr
    assert "Sentry" not in done.stdout + done.stderr
    report = event(sentry.received.get(timeout=20))
    assert [error["type"] for error in report["exception"]["values"]] == ["RuntimeError"]
    assert [word for word in leaves(report) if "cannot seal" in str(word)] == []


def test_a_command_whose_database_is_away_says_so_in_a_line_and_is_reported(sentry):
    environment = on_database("postgres://joe@127.0.0.1:1/mailboxes", SENTRY_DSN=sentry.dsn)
    command = [sys.executable, "manage.py", "purge_deleted"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    report = event(sentry.received.get(timeout=20))
    assert report["exception"]["values"][-1]["type"] == "OperationalError"


@pytest.mark.long
def test_what_the_server_finds_at_its_start_is_reported_in_words(sentry, sqlite_databases):
    other = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    with Server(sqlite_databases.copy(), SENTRY_DSN=sentry.dsn, PASS_CODE_KEYS=other):
        report = event(sentry.received.get(timeout=20))
    assert report["logentry"]["message"].startswith("PASS_CODE_KEYS decrypts 0 of 20 pass codes.")


@pytest.fixture(params=["refuses", "takes and never answers"])
def deaf(request):
    """The port of a host that gets no report, in either way."""
    listener = socket.create_server(("127.0.0.1", 0))
    if request.param == "refuses":
        listener.close()
        yield free_port()
    else:
        with listener:
            yield listener.getsockname()[1]


@pytest.mark.long
def test_a_sentry_that_cannot_be_reached_keeps_nobody_waiting(deaf, account):
    with Server(database_url(), SENTRY_DSN=f"http://key@127.0.0.1:{deaf}/1", **FAULT) as server:
        with closing(OverSocket(headers_for(account), port=server.port)) as service:
            for _ in range(40):  # more than wait to be sent
                crash(service)
            assert service.get("/voip/mailbox").status == 200
        assert server.output().count("RuntimeError: cannot seal") == 40
    assert server.process.returncode == 0
