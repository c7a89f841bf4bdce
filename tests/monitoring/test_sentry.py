"""Reports to a small HTTP server in place of Sentry: they have nothing private."""

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
from tests.server import ROOT, Server, process_environment
from tests.service import OverSocket, shows

CODE = "4829"
COOKIE = "of-a-browser"
FAILURE = {"DJANGO_SETTINGS_MODULE": "tests.faulty", "FAULT": "cannot encrypt {}"}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


class Ingest(BaseHTTPRequestHandler):
    """Receives envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.received.put(f"{self.path}\n{self.headers}\n{body.decode()}")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


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
    """A server whose encryption fails, with the pass code in the error message."""
    with Server(database_url(), SENTRY_DSN=sentry.dsn, **FAILURE) as running:
        yield running


@pytest.fixture
def service(server, account):
    with closing(OverSocket(headers_for(account), port=server.port)) as service:
        yield service


def parse_event(envelope) -> dict:
    """Return an envelope's only item, which follows two headers."""
    *_, item = envelope.strip().splitlines()
    return json.loads(item)


def flatten(value):
    """Yield all keys and values of JSON, at any depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from flatten(part)
    else:
        yield value


def crash(service):
    """Make a call that crashes, with a pass code in body and query, and secret headers."""
    answer = service.post(
        f"/voip/mailbox?password={CODE}",
        {"name": "Private line", "password": CODE},
        headers={"Cookie": f"sessionid={COOKIE}; csrftoken={COOKIE}"},
    )
    assert answer.status == 500
    return answer


def test_report_has_the_place_of_the_crash_and_the_request_id(service, sentry):
    answer = crash(service)
    report = parse_event(sentry.received.get(timeout=20))
    assert report["tags"] == {"request_id": answer.headers["x-request-id"]}
    (error,) = report["exception"]["values"]
    assert error["type"] == "RuntimeError"
    frame = error["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["context_line"].split()[0]) == ("encrypt", "raise")


def test_report_has_nothing_that_the_caller_sent(service, sentry):
    crash(service)
    words = [str(word) for word in flatten(parse_event(sentry.received.get(timeout=20)))]
    secret = service.headers["X-Auth-Password"]
    for private in (secret, COOKIE, "Private line", "acme", "cannot encrypt"):
        assert [word for word in words if private in word] == []
    assert [word for word in words if shows(word, CODE)] == []


def test_crash_of_a_command_is_reported(sentry, db):
    environment = process_environment(database_url(), SENTRY_DSN=sentry.dsn, **FAILURE)
    command = [sys.executable, "manage.py", "load_demo", "--accounts=1", "--mailboxes=9"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "RuntimeError: cannot encrypt" in done.stderr
    assert "Sentry" not in done.stdout + done.stderr
    report = parse_event(sentry.received.get(timeout=20))
    assert [error["type"] for error in report["exception"]["values"]] == ["RuntimeError"]
    assert [word for word in flatten(report) if "cannot encrypt" in str(word)] == []


def test_command_without_database_prints_one_line_and_is_reported(sentry):
    environment = process_environment("postgres://joe@127.0.0.1:1/mailboxes", SENTRY_DSN=sentry.dsn)
    command = [sys.executable, "manage.py", "purge_deleted"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    report = parse_event(sentry.received.get(timeout=20))
    assert report["exception"]["values"][-1]["type"] == "OperationalError"


def test_failed_check_at_start_is_reported_as_a_message(sentry, sqlite_databases):
    other = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    with Server(sqlite_databases.copy(), SENTRY_DSN=sentry.dsn, PASS_CODE_KEYS=other):
        report = parse_event(sentry.received.get(timeout=20))
    assert report["logentry"]["message"].startswith("PASS_CODE_KEYS decrypts 0 of 20 pass codes.")


@pytest.fixture(params=["refuses", "accepts and never answers"])
def unavailable_port(request):
    """A port that refuses connections, or accepts them without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    if request.param == "refuses":
        listener.close()
        yield free_port()
    else:
        with listener:
            yield listener.getsockname()[1]


def test_unreachable_sentry_delays_no_call(unavailable_port, account):
    with Server(
        database_url(), SENTRY_DSN=f"http://key@127.0.0.1:{unavailable_port}/1", **FAILURE
    ) as server:
        with closing(OverSocket(headers_for(account), port=server.port)) as service:
            for _ in range(40):  # more than fit in the queue of reports
                crash(service)
            assert service.get("/voip/mailbox").status == 200
        assert server.output().count("RuntimeError: cannot encrypt") == 40
    assert server.process.returncode == 0
