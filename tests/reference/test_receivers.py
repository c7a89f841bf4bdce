"""Run every receiver of webhooks that the API reference shows, and send real events to it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpcore
import pytest
from django.test import Client
from standardwebhooks import Webhook

from mailboxes.delivery.webhooks import send_test
from mailboxes.models import WebhookEndpoint
from tests import requirements
from tests.delivery.running import run_tasks
from tests.delivery.webhooks import create_webhook
from tests.postgres import free_port
from tests.server import until

pytestmark = pytest.mark.django_db

RECEIVER = re.compile(r'<code data-receiver="(\w+)">(.*?)</code>', re.DOTALL)
COMMANDS = {
    "python": [sys.executable, "receiver"],
    "javascript": ["node", "receiver"],
    "php": ["php", "-S", "127.0.0.1:{port}", "receiver"],
}
PROGRAMS = {"curl": "openssl", "javascript": "node", "php": "php"}


@pytest.fixture
def texts(db):
    """Return the text of each receiver by language."""
    found = RECEIVER.findall(Client().get("/docs/").text)
    return {language: unescape(text) for language, text in found}


class CgiHandler(BaseHTTPRequestHandler):
    """Run the shell script as a CGI program, with the variables of RFC 3875."""

    def log_message(self, *args):
        pass

    def do_POST(self):
        names = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in self.headers}
        values = {variable: self.headers[name] for name, variable in names.items()}
        length = self.headers["Content-Length"]
        run = subprocess.run(
            ["sh", "receiver"],
            cwd=self.server.folder,
            env=os.environ | values | self.server.values | {"CONTENT_LENGTH": length},
            input=self.rfile.read(int(length)),
            capture_output=True,
        )
        status = int(run.stdout.split()[1]) if run.returncode == 0 else 500
        self.send_response(status)
        self.end_headers()


@contextmanager
def run_receiver(language, text, folder: Path, secret):
    """Run the receiver and yield its address."""
    program = PROGRAMS.get(language)
    if program and shutil.which(program) is None:
        requirements.skip_or_fail(program, f"{program} is not on this machine.")
    (folder / "receiver").write_text(text)
    port = free_port()
    values = {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    if language == "curl":
        server = HTTPServer(("127.0.0.1", port), CgiHandler)
        server.folder, server.values = folder, values
        Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{port}/"
        server.shutdown()
        server.server_close()
        return
    command = [part.format(port=port) for part in COMMANDS[language]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=os.environ | values, **quiet) as process:
        until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}/"
        process.terminate()


def listens(port) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def call(url, secrets, body, *, age=0, sent=None) -> int:
    """Send a body signed with the secrets some seconds ago; `sent` replaces the signed body."""
    now = datetime.now(UTC) - timedelta(seconds=age)
    signatures = " ".join(Webhook(secret).sign("msg", now, body) for secret in secrets)
    headers = {
        "webhook-id": "msg",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures,
    }
    content = (sent or body).encode()
    return httpcore.request("POST", url, headers=headers, content=content).status


def test_receivers_in_four_languages_are_shown(texts):
    assert set(texts) == {"curl", "python", "javascript", "php"}


@pytest.mark.parametrize("language", ["curl", "python", "javascript", "php"])
def test_receiver_accepts_what_is_signed_and_nothing_else(
    texts, account, reachable, tmp_path, language
):
    endpoint = create_webhook(account)
    secret, other = endpoint.secret, WebhookEndpoint.make_secret()
    body = json.dumps({"type": "mailbox.updated", "data": {"name": "Büro ✓"}}, ensure_ascii=False)
    with run_receiver(language, texts[language], tmp_path, secret) as url:
        WebhookEndpoint.objects.update(url=url)
        endpoint.refresh_from_db()
        delivery = send_test(endpoint)
        run_tasks()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.status) == ("delivered", 204)
        assert call(url, [secret], body) == 204
        assert call(url, [other, secret], body) == 204  # after a rotation
        assert call(url, [other], body) == 400
        assert call(url, [], body) == 400
        assert call(url, [secret], body, sent=body.replace("name", "Name")) == 400
        assert call(url, [secret], body, age=400) == 400
        assert call(url, [secret], body, age=-400) == 400


@pytest.mark.long
def test_npm_library_verifies_our_signatures(account, receiver, tmp_path):
    """The reference library for JavaScript, besides the one for Python."""
    if shutil.which("npm") is None:
        requirements.skip_or_fail("npm", "npm is not on this machine.")
    install = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "standardwebhooks@1.0.0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if install.returncode:
        requirements.skip_or_fail("npm", f"standardwebhooks cannot be installed: {install.stderr}")
    endpoint = create_webhook(account, receiver.url)
    send_test(endpoint)
    run_tasks()
    (request,) = receiver.requests
    program = """
const { Webhook } = require("standardwebhooks");
const { secret, body, headers } = JSON.parse(require("fs").readFileSync(0));
new Webhook(secret).verify(body, headers);
try { new Webhook(secret).verify(body + " ", headers); } catch { console.log("refused"); }
"""
    headers = {name.lower(): value for name, value in request.headers.items()}
    given = {"secret": endpoint.secret, "body": request.body.decode(), "headers": headers}
    run = subprocess.run(
        ["node", "-e", program],
        cwd=tmp_path,
        input=json.dumps(given),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (0, "refused\n"), run.stderr
