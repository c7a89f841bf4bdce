"""Engine credentials: they open the lookups of engines and nothing else."""

from contextlib import closing
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from mailboxes.contract import MAX_BODY_BYTES
from mailboxes.models import ApiCredential
from tests.conftest import headers_for
from tests.engines.engine import FORM, Asterisk, basic_header, engine_headers
from tests.service import InProcess, OverSocket

COMMANDS = ["require", "single", "multi"]


def look_up_statuses(asterisk, mailbox):
    """Return the status of each lookup, and check that refusals have no body."""
    answers = [
        asterisk.send_form(command, f"mailbox={mailbox.pk}&context=acme") for command in COMMANDS
    ]
    assert all(answer.body == b"" for answer in answers if answer.status != 200)
    return [answer.status for answer in answers]


def test_engine_credential_is_accepted(asterisk, mailbox):
    assert look_up_statuses(asterisk, mailbox) == [200, 200, 200]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic é",
        "Basic /w==",
        "Basic cGJ4",
        "Bearer x",
        basic_header("pbx", "mbx_wrong")["Authorization"],
        basic_header("pbx", "")["Authorization"],
        basic_header("é\x00", "\U0001f4de")["Authorization"],
    ],
)
def test_wrong_credential_is_401_with_an_empty_body(mailbox, header):
    stranger = Asterisk({"Authorization": header})
    assert look_up_statuses(stranger, mailbox) == [401, 401, 401]
    challenge = stranger.single(mailbox.pk, "acme").headers["www-authenticate"]
    assert challenge == 'Basic realm="mailboxes"'


def test_user_must_be_the_name_of_the_credential(account, mailbox):
    _, secret = ApiCredential.objects.issue(account, "pbx", is_engine=True)
    assert look_up_statuses(Asterisk(basic_header("pbx", secret)), mailbox) == [200, 200, 200]
    for other in ("PBX", "", "acme", "pbx "):
        assert look_up_statuses(Asterisk(basic_header(other, secret)), mailbox) == [401, 401, 401]


def test_engine_credential_is_refused_by_the_api(account, mailbox):
    _, secret = ApiCredential.objects.issue(account, "pbx", is_engine=True)
    three = {"X-Auth-Reseller": "acme", "X-Auth-User": "pbx", "X-Auth-Password": secret}
    for headers in (three, {"Authorization": f"Bearer {secret}"}, basic_header("pbx", secret)):
        for path in ("/authenticated", "/voip/mailbox", f"/voip/mailbox/{mailbox.pk}"):
            assert InProcess(headers).get(path).status == 401


def test_api_credential_is_refused_by_the_lookups(account, mailbox):
    secret = headers_for(account)["X-Auth-Password"]
    assert look_up_statuses(Asterisk(basic_header("api", secret)), mailbox) == [401, 401, 401]


def test_engine_credential_for_all_accounts_is_refused_by_the_api(db):
    _, secret = ApiCredential.objects.issue(None, "pbx", is_engine=True)
    for reseller in ("", "None", "acme"):
        headers = {"X-Auth-Reseller": reseller, "X-Auth-User": "pbx", "X-Auth-Password": secret}
        assert InProcess(headers).get("/authenticated").status == 401


def test_call_from_outside_the_networks_is_403(account, mailbox):
    asterisk = Asterisk(engine_headers(account, networks="192.0.2.0/24"))
    assert look_up_statuses(asterisk, mailbox) == [403, 403, 403]


def test_revoked_expired_or_suspended_credential_is_401(account, mailbox):
    asterisk = Asterisk(engine_headers(account))
    for change in (
        {"revoked_at": timezone.now()},
        {"revoked_at": None, "expires_at": timezone.now()},
    ):
        ApiCredential.objects.update(**change)
        assert look_up_statuses(asterisk, mailbox) == [401, 401, 401]
    ApiCredential.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert look_up_statuses(asterisk, mailbox) == [200, 200, 200]
    account.suspend()
    assert look_up_statuses(asterisk, mailbox) == [401, 401, 401]


def test_last_use_is_recorded(asterisk, mailbox):
    asterisk.mailbox(mailbox)
    assert ApiCredential.objects.get().last_used_at is not None


def test_log_names_the_credential_and_has_no_pass_code(asterisk, mailbox, caplog):
    caplog.set_level("INFO")
    asterisk.mailbox(mailbox)
    asterisk.update(mailbox.pk, "acme", "2468")
    prefix = ApiCredential.objects.get().prefix
    lines = [record.getMessage() for record in caplog.records]
    assert all(line.endswith(f" from=127.0.0.1 by={prefix}") for line in lines)
    assert not any(code in line for code in ("4829", "2468", "Basic") for line in lines)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_an_empty_body(asterisk, mailbox, method):
    answer = asterisk.call(method, "/asterisk/voicemail/single")
    assert (answer.status, answer.body, answer.headers["allow"]) == (405, b"", "POST")


@pytest.fixture
def over_socket(server):
    """Return a caller of the real server, which does not normalise a path."""
    with closing(OverSocket(port=server.port)) as service:
        yield service


@pytest.mark.parametrize(
    "path",
    [
        "/asterisk",
        "/asterisk/",
        "/asterisk/voicemail/single/",
        "/asterisk/voicemail/store",
        "/asterisk/voicemail//single",
        "//asterisk/voicemail/single",
        "/Asterisk/voicemail/single",
        "/freeswitch/x",
        "//FreeSWITCH/directory",
        "/SOUNDS/x",
    ],
)
def test_unknown_path_is_404_with_an_empty_body(over_socket, path):
    answer = over_socket.post(path, "a=b")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("folder", ["//asterisk/voicemail", "/asterisk/voicemail/", "/Asterisk"])
def test_update_at_an_unknown_path_is_refused_with_0(over_socket, folder):
    answer = over_socket.post(f"{folder}/update", "password=2468")
    assert (answer.status, answer.body) == (200, b"0")


def test_too_large_body_is_413(asterisk, mailbox):
    """The body begins with a valid form, which must have no effect."""
    body = f"mailbox={mailbox.pk}&context=acme&password=2468&x={'x' * MAX_BODY_BYTES}"
    for path in (
        "/asterisk/voicemail/single",
        "/asterisk/voicemail/multi",
        "/freeswitch/directory",
    ):
        answer = asterisk.post(path, body, headers=FORM)
        assert (answer.status, answer.body) == (413, b"")
    answer = asterisk.post(
        f"/asterisk/voicemail/update?mailbox={mailbox.pk}&context=acme", body, headers=FORM
    )
    assert (answer.status, answer.body) == (200, b"0")
    mailbox.refresh_from_db()
    assert mailbox.password == "4829"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Encoding": "gzip"}, "Send the body without compression"),
        ({"Content-Type": "application/json"}, "Send the body as a form, with Content-Type: app"),
        ({"Content-Type": ""}, "Send the body as a form"),
    ],
)
def test_body_that_is_not_a_plain_form_is_415_and_says_why(asterisk, mailbox, headers, words):
    form = f"mailbox={mailbox.pk}&context=acme&password=2468"
    paths = [f"/asterisk/voicemail/{command}" for command in (*COMMANDS, f"update?{form}")]
    for path in (*paths, "/freeswitch/directory"):
        answer = asterisk.post(path, form, headers=FORM | headers)
        assert (answer.status, "=" in answer.body.decode()) == (415, False)
        assert answer.body.decode().startswith(words)
        is_encoded = "Content-Encoding" in headers
        assert answer.headers.get("accept-encoding") == ("identity" if is_encoded else None)
    mailbox.refresh_from_db()
    assert mailbox.password == "4829"


def test_only_an_engine_credential_can_be_issued_without_an_account(db):
    with pytest.raises(ValidationError) as refusal:
        ApiCredential.objects.issue(None, "api")
    assert refusal.value.message_dict == {
        "account": ["Choose an account. Only an engine's credential can be without one."]
    }


def test_api_credential_without_an_account_is_refused_by_the_database(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiCredential.objects.create(name="api", secret_sha256="x")


def test_name_of_a_credential_without_an_account_is_unique(db):
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    with pytest.raises(ValidationError) as refusal:
        ApiCredential.objects.issue(None, "pbx", is_engine=True)
    assert "for every account already" in refusal.value.message_dict["name"][0]
