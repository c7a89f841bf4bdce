"""A client generated from the published schema by a public generator works unchanged."""

import importlib
import json
import subprocess
import sys
from functools import partial
from io import BytesIO
from uuid import uuid4

import pytest
from django.test import Client

from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.recordings import make_wav

GENERATOR = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
PACKAGE = "generated_mailbox_client"


@pytest.fixture(scope="session")
def generation(tmp_path_factory):
    """The finished process of the generator, which reads the schema from a file."""
    folder = tmp_path_factory.mktemp("client")
    schema = Client().get("/voip/schema?format=json")
    (folder / "schema.json").write_bytes(schema.content)
    # Without formatting, which needs ruff on the PATH.
    config = {"post_hooks": [], "content_type_overrides": {"audio/wav": "application/octet-stream"}}
    (folder / "config.json").write_text(json.dumps(config))
    files = ["--path", "schema.json", "--config", "config.json", "--output-path", PACKAGE]
    run = subprocess.run(
        GENERATOR + files, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    run.folder = folder
    return run


@pytest.fixture(scope="session")
def package(generation):
    """A function that imports a module of the generated package."""
    sys.path.insert(0, str(generation.folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(generation.folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def account(transactional_db):
    return Account.objects.create(name="acme")


@pytest.fixture
def client(package, server, account):
    """The generated client, as in its documentation, with the headers of a credential."""
    client = package("client").Client(
        base_url=f"http://127.0.0.1:{server.port}",
        headers=headers_for(account),
        raise_on_unexpected_status=True,
    )
    with client:
        yield client


@pytest.fixture
def command(package, client):
    """A function that runs a command by its generated function, and returns the answer."""

    def command(name, *path, group="mailboxes", **arguments):
        function = package(f"api.{group}.{name}").sync_detailed
        return function(*path, client=client, **arguments)

    return command


def test_generator_prints_no_warning(generation):
    assert generation.returncode == 0, generation.stderr
    assert generation.stderr == ""
    assert generation.stdout.splitlines() == [f"Generating {PACKAGE}"]


def test_client_has_a_function_for_every_command(generation):
    schema = json.loads((generation.folder / "schema.json").read_text())
    documented = {of["operationId"] for path in schema["paths"].values() for of in path.values()}
    modules = (generation.folder / PACKAGE / "api").glob("*/*.py")
    assert documented == {module.stem for module in modules} - {"__init__"}


def test_client_creates_lists_gets_changes_and_deletes_a_mailbox(command, package):
    models = package("models")

    created = command("create_mailbox", body=models.MailboxRequest(name="Sales", password="0007"))
    assert created.status_code == 201
    mailbox = created.parsed.result
    assert (mailbox.name, mailbox.password, mailbox.beep) == ("Sales", "0007", True)

    (listed,) = command("list_mailboxes").parsed.result
    assert listed.uuid == mailbox.uuid

    body = models.MailboxRequest(name="Support", transcribe=True)
    updated = command("update_mailbox", mailbox.uuid, body=body).parsed.result
    # PUT replaces the object: the pass code was left out, so it is removed.
    assert (updated.name, updated.password, updated.transcribe) == ("Support", None, True)

    body = models.PatchedMailboxRequest(beep=False)
    changed = command("change_mailbox", mailbox.uuid, body=body).parsed.result
    assert (changed.name, changed.transcribe, changed.beep) == ("Support", True, False)

    assert command("get_mailbox", mailbox.uuid).parsed.result == changed

    deleted = command("delete_mailbox", mailbox.uuid)
    assert (deleted.status_code, deleted.parsed) == (204, None)
    assert command("list_mailboxes").parsed.result == []
    assert command("get_mailbox", mailbox.uuid).status_code == 404


def test_client_adds_and_removes_a_recipient(command, package, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    body = package("models").RecipientRequest(email="ann@acme.example")
    recipients = {"group": "email_recipients"}
    added = command("add_recipient", mailbox.uuid, body=body, **recipients).parsed.result
    assert added.email == "ann@acme.example"
    assert len(command("get_mailbox", mailbox.uuid).parsed.result.email_recipients) == 1
    assert command("add_recipient", mailbox.uuid, body=body, **recipients).status_code == 409
    removed = command("delete_recipient", mailbox.uuid, added.uuid, **recipients)
    assert removed.status_code == 204


def test_client_adds_hears_and_reads_a_message(command, package, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    messages = partial(command, group="messages")
    recording = package("types").File(BytesIO(make_wav()), "message.wav")
    body = package("models").NewMessageRequest(recording=recording, caller_id_name="Ann")
    added = messages("add_message", mailbox.uuid, body=body)
    assert (added.status_code, added.parsed.result.caller_id_name) == (201, "Ann")
    message = added.parsed.result
    assert (message.caller_id_number, message.heard) == (None, False)

    (listed,) = messages("list_messages", mailbox.uuid, limit=1).parsed.result
    assert listed == message
    body = package("models").PatchedHeardRequest(heard=True)
    assert messages("mark_message", mailbox.uuid, message.uuid, body=body).parsed.result.heard
    got = messages("get_recording", mailbox.uuid, message.uuid, range_="bytes=0-3")
    assert (got.status_code, got.content) == (206, b"RIFF")


def test_client_cannot_overwrite_a_newer_version(command, package, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    tag = command("get_mailbox", mailbox.uuid).headers["ETag"]
    body = package("models").PatchedMailboxRequest(name="Support")
    assert command("change_mailbox", mailbox.uuid, body=body, if_match=tag).status_code == 200
    assert command("change_mailbox", mailbox.uuid, body=body, if_match=tag).status_code == 412


def test_client_parses_an_error(command, package):
    answer = command("create_mailbox", body=package("models").MailboxRequest(name=" "))
    assert answer.status_code == 400
    (error,) = answer.parsed.errors["name"]
    assert error.code == "blank"
    assert command("get_mailbox", uuid4()).parsed.status_message == "Not Found"


def test_client_can_use_a_bearer_token(package, server, account):
    secret = headers_for(account)["X-Auth-Password"]
    client = package("client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{server.port}", token=secret
    )
    with client:
        check = package("api.authentication.check_credentials").sync_detailed
        assert check(client=client).status_code == 200
