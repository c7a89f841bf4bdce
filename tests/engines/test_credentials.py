"""An engine credential reads mailboxes for calls, and does nothing else; nothing else reads them."""

from contextlib import closing
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from mailboxes.contract import MAX_BODY_BYTES
from mailboxes.models import ApiCredential
from tests.conftest import headers_for
from tests.engines.engine import FORM, Asterisk, basic, engine_headers
from tests.service import InProcess, OverSocket

COMMANDS = ["require", "single", "multi"]


def statuses(asterisk, mailbox):
    """What the lookups answer. Whatever it is, a refusal has no body."""
    answers = [asterisk.ask(command, f"mailbox={mailbox.pk}&context=acme") for command in COMMANDS]
    assert all(answer.body == b"" for answer in answers if answer.status != 200)
    return [answer.status for answer in answers]


def test_it_is_taken(asterisk, mailbox):
    assert statuses(asterisk, mailbox) == [200, 200, 200]


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
        basic("pbx", "mbx_wrong")["Authorization"],
        basic("pbx", "")["Authorization"],
        basic("é\x00", "\U0001f4de")["Authorization"],
    ],
)
def test_whatever_is_wrong_is_401_with_an_empty_body(mailbox, header):
    stranger = Asterisk({"Authorization": header})
    assert statuses(stranger, mailbox) == [401, 401, 401]
    challenge = stranger.single(mailbox.pk, "acme").headers["www-authenticate"]
    assert challenge == 'Basic realm="mailboxes"'


def test_the_user_is_its_name(account, mailbox):
    _, secret = ApiCredential.objects.issue(account, "pbx", is_engine=True)
    assert statuses(Asterisk(basic("pbx", secret)), mailbox) == [200, 200, 200]
    for other in ("PBX", "", "acme", "pbx "):
        assert statuses(Asterisk(basic(other, secret)), mailbox) == [401, 401, 401]


def test_the_api_refuses_it(account, mailbox):
    _, secret = ApiCredential.objects.issue(account, "pbx", is_engine=True)
    three = {"X-Auth-Reseller": "acme", "X-Auth-User": "pbx", "X-Auth-Password": secret}
    for headers in (three, {"Authorization": f"Bearer {secret}"}, basic("pbx", secret)):
        for path in ("/authenticated", "/voip/mailbox", f"/voip/mailbox/{mailbox.pk}"):
            assert InProcess(headers).get(path).status == 401


def test_it_refuses_one_of_the_api(account, mailbox):
    secret = headers_for(account)["X-Auth-Password"]
    assert statuses(Asterisk(basic("api", secret)), mailbox) == [401, 401, 401]


def test_nor_does_one_of_every_account_open_the_api(db):
    _, secret = ApiCredential.objects.issue(None, "pbx", is_engine=True)
    for reseller in ("", "None", "acme"):
        headers = {"X-Auth-Reseller": reseller, "X-Auth-User": "pbx", "X-Auth-Password": secret}
        assert InProcess(headers).get("/authenticated").status == 401


def test_from_outside_its_networks_it_is_403(account, mailbox):
    asterisk = Asterisk(engine_headers(account, networks="192.0.2.0/24"))
    assert statuses(asterisk, mailbox) == [403, 403, 403]


def test_a_revoked_expired_or_suspended_one_is_401(account, mailbox):
    asterisk = Asterisk(engine_headers(account))
    for change in (
        {"revoked_at": timezone.now()},
        {"revoked_at": None, "expires_at": timezone.now()},
    ):
        ApiCredential.objects.update(**change)
        assert statuses(asterisk, mailbox) == [401, 401, 401]
    ApiCredential.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert statuses(asterisk, mailbox) == [200, 200, 200]
    account.suspend()
    assert statuses(asterisk, mailbox) == [401, 401, 401]


def test_its_use_is_written_down(asterisk, mailbox):
    asterisk.mailbox(mailbox)
    assert ApiCredential.objects.get().last_used_at is not None


def test_the_log_names_it_and_tells_no_pass_code(asterisk, mailbox, caplog):
    caplog.set_level("INFO")
    asterisk.mailbox(mailbox)
    asterisk.update(mailbox.pk, "acme", "2468")
    prefix = ApiCredential.objects.get().prefix
    lines = [record.getMessage() for record in caplog.records]
    assert all(line.endswith(f" from=127.0.0.1 by={prefix}") for line in lines)
    assert not any(code in line for code in ("4829", "2468", "Basic") for line in lines)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_other_method_is_405_with_an_empty_body(asterisk, mailbox, method):
    answer = asterisk.call(method, "/asterisk/voicemail/single")
    assert (answer.status, answer.body, answer.headers["allow"]) == (405, b"", "POST")


@pytest.fixture
def over_socket(server):
    """The real server, which takes a path as it comes."""
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
def test_an_unknown_path_is_404_with_an_empty_body(over_socket, path):
    answer = over_socket.post(path, "a=b")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("folder", ["//asterisk/voicemail", "/asterisk/voicemail/", "/Asterisk"])
def test_there_no_pass_code_is_changed_either(over_socket, folder):
    answer = over_socket.post(f"{folder}/update", "password=2468")
    assert (answer.status, answer.body) == (200, b"0")


def test_a_body_that_is_too_large_is_413(asterisk, mailbox):
    """Beside a lookup that is in order: what is read of it is not acted on."""
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


def test_one_without_an_account_is_an_engines(db):
    with pytest.raises(ValidationError) as refusal:
        ApiCredential.objects.issue(None, "api")
    assert refusal.value.message_dict == {
        "account": ["Choose an account. Only an engine's credential can be without one."]
    }


def test_the_database_says_so_too(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiCredential.objects.create(name="api", secret_sha256="x")


def test_a_name_stands_once_without_account_too(db):
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    with pytest.raises(ValidationError) as refusal:
        ApiCredential.objects.issue(None, "pbx", is_engine=True)
    assert "for every account already" in refusal.value.message_dict["name"][0]
