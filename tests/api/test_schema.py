"""The OpenAPI schema has the same commands, bodies, headers and errors as the service."""

import gzip
import json
from functools import cache
from uuid import uuid4

import jsonschema
import pytest
import yaml
from django.db import OperationalError
from django.test import Client
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from mailboxes import contract
from mailboxes.api import idempotency, urls
from mailboxes.api.schema_texts import RESPONSE_HEADERS
from mailboxes.contract import WEBHOOK_EVENTS
from mailboxes.delivery.webhooks import send
from mailboxes.models import Account, Mailbox, Message, Sound, WebhookEndpoint
from mailboxes.models.message_actions import Actions
from tests.api import examples
from tests.recordings import make_form, make_recording, make_wav
from tests.sounds import create_sound

MAILBOX = "/voip/mailbox/{uuid}"
MESSAGES = "/voip/mailbox/{mailbox_uuid}/messages"
SOUND = "/voip/sound/{uuid}"
UPLOADS = {
    ("POST", MESSAGES): "recording",
    ("POST", "/voip/sound"): "file",
    ("PATCH", SOUND): "file",
}
RECORDING = f"{MESSAGES}/{{uuid}}/recording"


@cache
def document():
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


COMMANDS = [(method.upper(), path) for path, of in document()["paths"].items() for method in of]
# Sent with a repeated answer, with a page that has a next one, with `changed_since`, and after a weak
# pass code was set.
OPTIONAL_HEADERS = {"Idempotency-Replayed", "Link", "X-Changes-Cursor", "X-Pass-Code-Warning"}


def get_operation(method, path):
    return document()["paths"][path][method.lower()]


def assert_documented(answer, method, path):
    """Assert that status, headers and body are documented, and that the example is valid."""
    response = get_operation(method, path)["responses"][str(answer.status)]
    sent = {name for name in RESPONSE_HEADERS if name.lower() in answer.headers}
    assert sent <= set(response["headers"]) <= sent | OPTIONAL_HEADERS
    if "content" not in response:
        assert answer.body == b""
        return
    content = response["content"][answer.headers["content-type"]]
    if answer.headers["content-type"].startswith("audio/"):
        assert content == {"schema": {"type": "string", "format": "binary"}}
        return
    for body in (answer.json, content["example"]):
        jsonschema.validate(
            body,
            content["schema"] | {"components": document()["components"]},
            format_checker=jsonschema.FormatChecker(),
        )


@pytest.fixture
def mailbox(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.add_recipient("ann@acme.example")
    Message.receive(mailbox, make_recording())
    return mailbox


@pytest.fixture
def delivery(account):
    webhook = WebhookEndpoint.create(
        account, url="https://example.com/", events=[WEBHOOK_EVENTS[0]]
    )
    return send(webhook, WEBHOOK_EVENTS[0], {})


@pytest.fixture
def sound(account):
    return create_sound(account)


@pytest.fixture
def fill_in(mailbox, delivery, sound):
    """A function that fills the uuids of the mailbox and its recipient or message into a path.

    Those of a sound, of a webhook and of an event that was sent to it, too.
    """

    def fill_in(path):
        if "webhook" in path:
            return path.format(uuid=delivery.endpoint_id, id=delivery.pk)
        row = sound if "sound" in path else mailbox
        if "recipient" in path:
            row = mailbox.email_recipients.first()
        elif "messages" in path:
            row = mailbox.messages.first()
        return path.format(mailbox_uuid=mailbox.uuid, uuid=row.uuid)

    return fill_in


def fill_in_anything(path):
    return path.format(mailbox_uuid=uuid4(), uuid=uuid4(), id=uuid4())


# --- The schema -----------------------------------------------------------------


def test_schema_is_valid():
    validate_schema(document())
    validate(document(), cls=OpenAPIV31SpecValidator)


def test_schema_has_exactly_the_routed_commands():
    routed = {
        (pattern.name, method)
        for pattern in urls.urlpatterns
        if pattern.callback.cls.schema
        for method in getattr(pattern.callback, "actions", None) or ["get"]
        if method != "head"
    }
    documented = [
        (resolve(fill_in_anything(path)).url_name, method.lower()) for method, path in COMMANDS
    ]
    assert sorted(documented) == sorted(routed)
    assert not any(path.endswith("/") for _, path in COMMANDS)


def test_uuid_of_a_command_says_what_happens_to_it():
    (uuid,) = (
        parameter
        for parameter in get_operation("POST", f"{MAILBOX}/restore")["parameters"]
        if parameter["name"] == "uuid"
    )
    assert uuid["description"] == "The UUID of the Mailbox to be restored"


def test_generator_prints_no_warning(capsys):
    SchemaGenerator().get_schema(public=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["/voip/schema", "/voip/schema/"])
def test_schema_is_served_as_yaml_without_credential(path, db):
    response = Client().get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert yaml.load(response.content, yaml.CSafeLoader) == document()


@pytest.mark.parametrize(
    ("query", "accept"),
    [("?format=json", "*/*"), ("", "application/json")],
    ids=["query", "header"],
)
def test_schema_is_served_as_json(query, accept, db):
    response = Client().get(f"/voip/schema{query}", headers={"Accept": accept})
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == document()


@pytest.mark.parametrize("query", ["", "?format=json"])
def test_schema_is_built_once(query, db, monkeypatch):
    first = Client().get(f"/voip/schema{query}")
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    second = Client().get(f"/voip/schema{query}")
    assert (second.status_code, second.content) == (200, first.content)


def test_request_for_the_unchanged_schema_is_304(db):
    etag = Client().get("/voip/schema")["ETag"]
    answer = Client().get("/voip/schema", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)
    assert Client().get("/voip/schema", headers={"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize("query", ["version=9", "version=%0d%0aX:1", "lang=../x", "unknown=1"])
def test_schema_does_not_depend_on_the_query_string(query, db):
    plain = Client().get("/voip/schema")
    assert Client().get(f"/voip/schema?{query}").content == plain.content


def test_errors_have_the_envelope(db):
    for response in (
        Client().post("/voip/schema"),
        Client().options("/voip/schema"),
        Client().get("/voip/schema?format=xml"),
    ):
        assert list(response.json()) == ["result", "status_code", "status_message"]
        assert response.json()["status_code"] == response.status_code


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/voip/mailbox", "200", examples.LIST_200),
        ("GET", MAILBOX, "200", examples.ONE_200),
        ("GET", MAILBOX, "404", examples.NOT_FOUND_404),
        ("POST", "/voip/mailbox", "201", examples.CREATE_201),
        ("PUT", MAILBOX, "200", examples.ONE_200),
    ],
)
def test_examples_are_the_published_ones(method, path, status, text):
    response = get_operation(method, path)["responses"][status]
    assert response["content"]["application/json"]["example"] == json.loads(text)


def test_request_examples_are_the_published_ones():
    for method, path in (("POST", "/voip/mailbox"), ("PUT", MAILBOX)):
        body = get_operation(method, path)["requestBody"]["content"]["application/json"]
        assert body["example"] == json.loads(examples.ALL_FIELDS)


# --- The service's answers ------------------------------------------------------

ERRORS = [
    (method, path, int(status))
    for method, path in COMMANDS
    for status in get_operation(method, path)["responses"]
    if int(status) >= 400
]
BODY = {"name": "Support", "email": "bob@acme.example"}
BODY |= {"heard": True, "action": "hear", "uuids": [str(uuid4())]}
BODY |= {"url": "https://example.com/hook", "events": [WEBHOOK_EVENTS[0]]}
REFUSED_CALLS = {
    400: {
        "body": {"name": "", "email": "", "action": "burn", "url": "https://127.0.0.1/"}
        | {key: BODY[key] for key in ("uuids", "events")}
    },
    401: {"headers": {"X-Auth-Password": "wrong"}},
    403: {"headers": {"X-Auth-For": "stranger"}},
    404: {},  # by the path
    406: {"headers": {"Accept": "text/html"}},
    409: {"body": {"email": "Carol@acme.example"}},
    412: {"headers": {"If-Match": '"0"'}},
    413: {"body": b"{" + b" " * 1024 * 1024},
    415: {"body": b"name=Sales", "headers": {"Content-Type": "text/plain"}},
    416: {"headers": {"Range": "bytes=99999999-"}},
    422: {"headers": {"Idempotency-Key": "used"}},
    429: {},  # by the limit
    500: {},  # by an exception
    503: {},  # by an exception
    507: {},  # by an exception
}
EXCEPTIONS = {500: RuntimeError, 503: OperationalError}


@pytest.mark.parametrize(("method", "path"), COMMANDS)
def test_successful_answer_is_as_documented(service, fill_in, method, path):
    call = {"body": BODY}
    if field := UPLOADS.get((method, path)):
        call = make_form(make_wav(), field)
    answer = service.call(method, fill_in(path), **call)
    assert answer.status < 300
    assert_documented(answer, method, path)


def test_part_of_a_recording_is_documented(service, fill_in):
    answer = service.get(fill_in(RECORDING), headers={"Range": "bytes=0-9"})
    assert answer.status == 206
    assert_documented(answer, "GET", RECORDING)


def test_message_of_an_earlier_call_is_documented(service, fill_in):
    for _ in range(2):
        answer = service.post(fill_in(MESSAGES), **make_form(make_wav(), call_id="one"))
    assert answer.status == 200
    assert_documented(answer, "POST", MESSAGES)


def test_message_too_short_to_be_kept_is_documented(service, fill_in):
    answer = service.post(fill_in(MESSAGES), **make_form(make_wav(seconds=0.5)))
    assert (answer.status, answer.result) == (200, {})
    answer.headers["etag"] = ""  # only a message has one
    assert_documented(answer, "POST", MESSAGES)


def test_headers_that_are_sometimes_sent_are_documented(service, mailbox):
    answer = service.get("/voip/mailbox?limit=1")
    assert "link" not in answer.headers
    for _ in range(2):
        repeated = service.post("/voip/mailbox", BODY, headers={"Idempotency-Key": "k"})
    answer = service.get("/voip/mailbox?limit=1")
    assert "link" in answer.headers
    assert "idempotency-replayed" in repeated.headers
    assert_documented(answer, "GET", "/voip/mailbox")
    assert_documented(repeated, "POST", "/voip/mailbox")
    for method, path in (("POST", "/voip/mailbox"), ("PUT", MAILBOX), ("PATCH", MAILBOX)):
        address = path.format(uuid=mailbox.uuid)
        weak = service.call(method, address, {"name": "Sales", "password": "1234"})
        assert "x-pass-code-warning" in weak.headers
        assert_documented(weak, method, path)


@pytest.mark.parametrize("path", [path for method, path in COMMANDS if method == "GET"])
def test_answer_304_is_documented(service, fill_in, path):
    tag = service.get(fill_in(path)).headers.get("etag", '"x"')
    answer = service.get(fill_in(path), headers={"If-None-Match": tag})
    assert (answer.status == 304) == ("304" in get_operation("GET", path)["responses"])
    assert_documented(answer, "GET", path)


@pytest.mark.parametrize(("method", "path", "status"), ERRORS)
def test_error_is_like_the_documented_example(
    service, mailbox, sound, fill_in, settings, monkeypatch, method, path, status
):
    if status == 409:
        mailbox.add_recipient("carol@acme.example")
    if status == 422:
        service.post("/voip/mailbox", {"name": "First"}, headers={"Idempotency-Key": "used"})
    call = {"body": BODY} | REFUSED_CALLS[status]
    field = UPLOADS.get((method, path))
    if field and status != 415:
        recordings = {400: b"no audio", 413: bytes(contract.MAX_RECORDING_BYTES + 1)}
        form = make_form(recordings.get(status, make_wav()), field)
        call = form | {"headers": form["headers"] | call.get("headers", {})}
    address = fill_in(path)
    if status == 404:
        address = fill_in_anything(path)
    elif status == 400 and method == "GET":
        address += "?name=" if path.endswith("/mailbox") else "?limit="
    elif status == 400 and path.endswith(("/restore", "/rotate", "/replay")):
        call = {"headers": {"Idempotency-Key": "two words"}}
    elif status == 409 and (method, path) == ("DELETE", SOUND):
        Mailbox.objects.create(account=sound.account, name="Pete's Mailbox", greeting=sound.pk)
    elif status == 409 and (method, path) == ("PATCH", SOUND):
        give_to_reseller(sound)
    elif status == 409 and "recipient" not in path:
        # Only PostgreSQL gives this answer.
        monkeypatch.setattr(idempotency, "lock_key", fail_with(idempotency.StillRuns))
        call |= {"headers": call.get("headers", {}) | {"Idempotency-Key": "new"}}
    elif status == 507:
        full = lambda messages, mailboxes: dict.fromkeys(mailboxes, 0)  # noqa: E731
        monkeypatch.setattr(Actions, "count_room", full)
        mailbox.messages.get().soft_delete()
    elif status == 429:
        settings.RATE_LIMIT = (0, 3600)
    elif status in EXCEPTIONS:
        authenticate = "mailboxes.models.credentials.ApiCredentialManager.authenticate"
        monkeypatch.setattr(authenticate, fail_with(EXCEPTIONS[status]))
    answer = service.call(method, address, **call)
    assert answer.status == status
    assert_documented(answer, method, path)
    if status != 429:  # its example has another number of seconds
        response = get_operation(method, path)["responses"][str(status)]
        assert answer.json == response["content"]["application/json"]["example"]


def give_to_reseller(sound):
    reseller = Account.objects.create(name="reseller")
    Account.objects.filter(pk=sound.account_id).update(reseller=reseller)
    Sound.objects.filter(pk=sound.pk).update(account=reseller, shared=True)


def fail_with(exception):
    def fail(*args, **kwargs):
        raise exception

    return fail


@pytest.mark.parametrize("path", ["/voip/mailbox", MAILBOX])
def test_body_is_accepted_only_if_the_schema_allows_it(service, fill_in, path):
    """The service accepts a body if and only if it matches the schema."""
    method = "POST" if path == "/voip/mailbox" else "PUT"
    body = get_operation(method, path)["requestBody"]["content"]["application/json"]["schema"]
    body = body | {"components": document()["components"]}
    for field, value in [
        ("name", "a" * 100),
        ("name", "a" * 101),
        ("name", ""),
        ("name", None),
        ("password", "0007"),
        ("password", "123"),
        ("password", None),
        ("greeting", None),
        ("greeting", 5),
        ("beep", "yes"),
        ("transcribe", None),
        ("unknown", "anything"),
    ]:
        valid = jsonschema.Draft202012Validator(body).is_valid({"name": "Sales", field: value})
        answer = service.call(method, fill_in(path), {"name": "Sales", field: value})
        assert (answer.status < 300) == valid, (field, value)


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_schema_is_compressed_for_callers_that_accept_gzip(wire, kind):
    path = f"/voip/schema?format={kind}"
    plain = wire.get(path)
    answer = wire.get(path, headers={"Accept-Encoding": "br, GZIP;q=0.5"})
    assert gzip.decompress(answer.body) == plain.body
    assert len(answer.body) < len(plain.body) / 8
    for each, encoding in ((plain, None), (answer, "gzip")):
        assert each.headers.get("content-encoding") == encoding
        assert set(each.headers["vary"].split(", ")) == {"Accept", "Accept-Encoding"}
        assert int(each.headers["content-length"]) == len(each.body)
    tags = [each.headers["etag"] for each in (plain, answer)]
    assert tags[0] != tags[1]
    known = {"Accept-Encoding": "gzip", "If-None-Match": tags[1]}
    assert wire.get(path, headers=known).status == 304


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000, br", "identity"])
def test_schema_is_not_compressed_for_other_callers(wire, accepted):
    answer = wire.get("/voip/schema", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert answer.body.startswith(b"openapi:")


def test_answer_with_a_secret_is_not_compressed(wire):
    for number in range(20):
        wire.post("/voip/mailbox", {"name": f"Sales {number}"})
    for path in ("/voip/mailbox", "/voip/user", "/voip/unknown"):
        answer = wire.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "content-encoding" not in answer.headers


def test_defaults_are_in_the_texts_of_a_whole_mailbox():
    schemas = document()["components"]["schemas"]
    texts = {
        name: field["description"]
        for name, field in schemas["MailboxRequest"]["properties"].items()
    }
    assert texts["beep"].endswith(" (default: true)")
    assert texts["transcribe"].endswith(" (default: false)")
    assert "default:" not in json.dumps(schemas["PatchedMailboxRequest"])
    assert '"default"' not in json.dumps(schemas)
