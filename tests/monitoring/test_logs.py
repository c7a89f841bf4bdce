"""The log of a real server, as text and as JSON: one line with an id for each request."""

import json
import logging
import os
import re
import signal
from contextlib import closing
from datetime import datetime, timedelta
from logging.config import DictConfigurator

import pytest
from django.conf import settings

from mailboxes.engines import sounds
from mailboxes.models import Mailbox
from tests.conftest import database_url, headers_for
from tests.engines.sound import GREETING
from tests.server import Server, until, workers
from tests.service import OverSocket, shows

CODE = "4829"
FORGED = "2026-01-01T00:00:00+0000 INFO mailboxes.request forged"
TEXT = re.compile(
    r"(?P<time>\S+) (?P<level>[A-Z]+) (?P<logger>\S+) (?P<message>.*) id=(?P<request_id>\S+)"
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", params=["text", "json"])
def server(request, django_db_setup):
    """A server whose encryption fails with a message of two lines."""
    failure = {"DJANGO_SETTINGS_MODULE": "tests.faulty", "FAULT": f"out of order\n{FORGED}"}
    failure["WEB_CONCURRENCY"] = "1"
    with Server(database_url(), LOG_FORMAT=request.param, **failure) as running:
        yield running


@pytest.fixture
def service(server, account):
    with closing(OverSocket(headers_for(account), port=server.port)) as service:
        yield service


def make_formatter(name) -> logging.Formatter:
    options = settings.LOGGING["formatters"][name]
    return DictConfigurator(settings.LOGGING).configure_formatter(options.copy())


def parse_lines(server) -> list[dict]:
    """Return the parts of each printed line. Raises an exception if a line has another format."""
    printed = server.output().splitlines()
    if server.environment["LOG_FORMAT"] == "json":
        return [json.loads(line) for line in printed]
    return [TEXT.fullmatch(line).groupdict() for line in printed if not line.startswith("  ")]


def parse_request_lines(server) -> list[dict]:
    return [line for line in parse_lines(server) if line["logger"] == "mailboxes.request"]


def find_lines(answer, server) -> list[dict]:
    """Return the lines with the answer's request id. The request's own line is the last."""
    request_id = answer.headers["x-request-id"]

    def find():
        lines = [line for line in parse_lines(server) if line["request_id"] == request_id]
        return lines if lines and lines[-1]["logger"] == "mailboxes.request" else []

    return until(find)


@pytest.mark.long
def test_request_has_one_line_with_the_id_of_its_answer(service, server):
    before = len(parse_request_lines(server))
    paths = ["/voip/mailbox", "/nowhere", "/sign-in/", "/static/css/base.css", "/admin/"]
    answers = [service.get(path) for path in paths]
    assert [len(find_lines(answer, server)) for answer in answers] == [1] * len(answers)
    assert len(parse_request_lines(server)) == before + len(answers)


def test_line_has_time_level_logger_and_request(service, server):
    answer = service.get("/voip/mailbox?limit=1", headers={"X-Request-ID": "my-own-id.1"})
    (line,) = find_lines(answer, server)
    assert line["request_id"] == "my-own-id.1"
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    assert (line["level"], line["logger"]) == ("INFO", "mailboxes.request")
    by = f"{service.headers['X-Auth-Password'][:10]}@acme"
    assert re.fullmatch(rf"GET /voip/mailbox 200 \d+\.\dms from=127.0.0.1 by={by}", line["message"])


def test_json_line_has_a_key_for_each_part(service, server):
    (line,) = find_lines(service.get("/voip/mailbox?limit=1"), server)
    if server.environment["LOG_FORMAT"] == "text":
        return
    assert line.pop("milliseconds") > 0
    assert (line["method"], line["path"], line["status"]) == ("GET", "/voip/mailbox", 200)
    assert line["from"] == "127.0.0.1"
    assert line["by"].endswith("@acme")


def test_traceback_is_logged_with_the_request_id(service, server):
    answer = service.post("/voip/mailbox", {"name": "Sales", "password": CODE})
    assert answer.status == 500
    levels = [line["level"] for line in find_lines(answer, server)]
    assert levels == ["ERROR", "INFO"]
    assert "RuntimeError: out of order" in server.output()


def test_input_of_a_client_cannot_forge_a_log_line(service, server):
    """In path, header or error message. `parse_lines` fails on a line of another format."""
    before = len(parse_lines(server))
    service.get(f"/voip/x%0A{FORGED.replace(' ', '%20')}%E2%80%A8{FORGED.replace(' ', '%20')}")
    service.get("/voip/mailbox", headers={"X-Request-ID": f"x\u0085{FORGED}"})
    service.get("/voip/mailbox", headers={"X-Forwarded-For": FORGED, "X-Auth-For": FORGED})
    service.post("/voip/mailbox", {"name": "Sales", "password": CODE})  # an error with FORGED
    until(lambda: len(parse_lines(server)) == before + 5)  # the error has a line of its own
    assert not any(line.startswith(FORGED) for line in server.output().splitlines())


@pytest.mark.parametrize("formatter", settings.LOGGING["formatters"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x1c", "\x85", "\u2028"])
def test_message_with_line_ends_is_one_line(formatter, end):
    record = logging.LogRecord("axes", logging.WARNING, "", 0, "%s", (f"x{end}{FORGED}",), None)
    assert len(make_formatter(formatter).format(record).splitlines()) == 1


@pytest.mark.parametrize("path", ["/sounds", "//sounds", "/Sounds", "/sounds/", "/x/sounds"])
def test_signature_of_a_greeting_is_masked(service, server, path):
    signature = sounds.sign(GREETING)
    (line,) = find_lines(service.get(f"{path}/{signature}/{GREETING}.wav"), server)
    assert f"GET {path}/-/{GREETING}.wav 404" in line["message"]
    assert signature not in server.output()


@pytest.mark.parametrize("formatter", settings.LOGGING["formatters"])
def test_signature_of_a_greeting_is_masked_in_a_traceback(formatter):
    address = f"/sounds/{sounds.sign(GREETING)}/{GREETING}.wav"
    crash = (RuntimeError, RuntimeError(f"out of order: {address}"), None)
    record = logging.LogRecord(
        "django.request", logging.ERROR, "", 0, "Internal Server Error: %s", (address,), crash
    )
    line = make_formatter(formatter).format(record)
    assert line.count(f"/sounds/-/{GREETING}.wav") == 2
    assert sounds.sign(GREETING) not in line


def test_lines_of_the_server_itself_have_the_same_format(server):
    worker = workers(server).pop()
    os.kill(worker, signal.SIGKILL)
    until(lambda: f"[{worker}] died" in server.output())
    (line,) = [line for line in parse_lines(server) if f"[{worker}] died" in line["message"]]
    assert (line["level"], line["logger"]) == ("INFO", "uvicorn.error")


def test_pass_codes_and_secrets_are_not_logged(service, server, account):
    Mailbox.objects.create(account=account, name="Sales", password=CODE)
    secret = service.headers["X-Auth-Password"]
    assert service.get("/voip/mailbox").result[0]["password"] == CODE
    assert service.post("/voip/mailbox", {"name": "Sales", "password": CODE}).status == 500
    assert service.post("/voip/mailbox", f'{{"password": "{CODE}", "name"').status == 400
    assert service.get(f"/voip/mailbox?password={CODE}&secret={secret}").status == 200
    bearer = dict.fromkeys(service.headers) | {"Authorization": f"Bearer {secret}x"}
    assert service.get("/authenticated", headers=bearer).status == 401
    assert service.get("/sign-in/", headers={"Cookie": f"sessionid={secret}"}).status == 200
    assert not shows(server.output(), CODE)
    assert secret not in server.output()
