"""Run every sample of the API reference as shown, against the real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from uuid import UUID

import pytest
from django.test import Client

from mailboxes.api.schema_texts import COMMANDS, EXAMPLES
from mailboxes.delivery.webhooks import send
from mailboxes.models import Account, Mailbox, Message
from mailboxes.validators import is_weak_pass_code
from tests import requirements
from tests.conftest import headers_for
from tests.delivery.webhooks import create_webhook
from tests.recordings import make_recording, make_wav
from tests.server import ROOT
from tests.sounds import create_sound

pytestmark = pytest.mark.long

PROGRAMS = {
    "curl": ["bash"],
    "python": [sys.executable, "-"],
    "javascript": ["node"],
    "php": ["php"],
}
TITLES = {"javascript": "Node.js", "php": "PHP"}
SAMPLE = re.compile(r'<code data-language="(\w+)">(.*?)</code>', re.DOTALL)

PRINT_PASS_CODE = """
import django
django.setup()
from mailboxes.api.schema_texts import EXAMPLES
print(EXAMPLES["password"], end="")
"""


@pytest.fixture(scope="module")
def samples(server):
    """Return the text of each sample by command and language, for the server's address."""
    answer = Client().get("/docs/", headers={"Host": f"127.0.0.1:{server.port}"})
    _, *commands = answer.content.decode().split('<h3 id="')
    return {
        (command.partition('"')[0], language): unescape(text)
        for command in commands
        for language, text in SAMPLE.findall(command)
    }


@pytest.fixture
def environment(transactional_db):
    """Return the environment variables of the samples; create the rows that they use."""
    account = Account.objects.create(name="acme")
    mailbox = Mailbox.objects.create(account=account, uuid=EXAMPLES["uuid"], name="Sales")
    mailbox.email_recipients.create(uuid=EXAMPLES["uuid"], email="mary@example.com")
    Message.receive(mailbox, make_recording(), uuid=UUID(EXAMPLES["uuid"]))
    create_sound(account, uuid=UUID(EXAMPLES["uuid"]))
    webhook = create_webhook(account, uuid=UUID(EXAMPLES["uuid"]))
    delivery = send(webhook, "message.received", {})
    delivery.uuid = UUID(EXAMPLES["uuid"])
    delivery.save(force_insert=True)
    credential = headers_for(account)
    return os.environ | {
        name.upper().replace("X-AUTH-", "MAILBOXES_"): value for name, value in credential.items()
    }


def test_every_command_has_a_sample_in_every_language(samples):
    commands = {command.operation_id for command in COMMANDS.values()}
    assert set(samples) == {(command, language) for command in commands for language in PROGRAMS}


@pytest.mark.parametrize(("policy", "refused"), [("warn", True), ("reject", False)])
def test_sample_pass_code_follows_the_policy(policy, refused):
    """The published example is weak, so another one is shown if weak ones are refused."""
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_PASS_CODE],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "PASS_CODE_POLICY": policy},
        capture_output=True,
        text=True,
        check=True,
    )
    assert is_weak_pass_code(printed.stdout) is refused


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize("command", [command.operation_id for command in COMMANDS.values()])
def test_sample_runs_as_shown(samples, environment, tmp_path, command, language):
    program = PROGRAMS[language]
    if shutil.which(program[0]) is None:
        requirements.skip_or_fail(program[0], f"{TITLES[language]} is not on this machine.")
    for name in ("message.wav", "greeting.wav"):
        (tmp_path / name).write_bytes(make_wav(tone=300))
    run = subprocess.run(
        program,
        cwd=tmp_path,
        input=samples[command, language],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    printed = json.loads(run.stdout)
    status = printed if isinstance(printed, int) else printed["status_code"]
    assert status in (200, 201, 202, 204), printed
    if command == "get_recording":
        assert (tmp_path / "recording.wav").read_bytes() == make_wav()
    if command == "create_sound":
        assert (printed["result"]["file_name"], printed["result"]["shared"]) == (
            "greeting.wav",
            False,
        )
    if command == "add_message":
        assert printed["result"]["caller_id_name"] == EXAMPLES["caller_id_name"]
