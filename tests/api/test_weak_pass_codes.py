"""Weak pass codes: accepted with a warning, or refused if PASS_CODE_POLICY is `reject`."""

import pytest

from mailboxes.models import Mailbox
from tests.service import shows

LIST = "/voip/mailbox"
WARNING = "x-pass-code-warning"
REASON = "It is easy to guess: its digits count up or down."


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="4829")


@pytest.fixture
def weak(account):
    return Mailbox.objects.create(account=account, name="Weak", password="1234")


@pytest.fixture
def _policy_reject(settings):
    settings.PASS_CODE_POLICY = "reject"


def test_created_mailbox_with_a_weak_pass_code_gets_a_warning(wire):
    answer = wire.post(LIST, {"name": "Sales", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (201, REASON)
    assert not shows(answer.headers, "1234")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_to_a_weak_pass_code_gets_a_warning(service, mailbox, method):
    path = f"{LIST}/{mailbox.pk}"
    answer = service.call(method, path, {"name": "Sales", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (200, REASON)


def test_repeated_answer_has_the_warning(service):
    for _ in range(2):
        body, headers = {"name": "Sales", "password": "1234"}, {"Idempotency-Key": "k"}
        answer = service.post(LIST, body, headers=headers)
        assert (answer.status, answer.headers[WARNING]) == (201, REASON)


@pytest.mark.parametrize("password", ["4829", None])
def test_good_pass_code_or_none_gets_no_warning(service, password):
    assert WARNING not in service.post(LIST, {"name": "Sales", "password": password}).headers


def test_call_that_sets_no_pass_code_gets_no_warning(service, weak):
    path = f"{LIST}/{weak.pk}"
    answers = [service.patch(path, {"name": "Support"}), service.get(path), service.get(LIST)]
    service.delete(path)
    answers.append(service.post(f"{path}/restore", {"password": "1234"}))
    refused = service.patch(path, {"name": "", "password": "1234"})
    assert [answer.status for answer in (*answers, refused)] == [200, 200, 200, 200, 400]
    assert not any(WARNING in answer.headers for answer in (*answers, refused))


@pytest.mark.usefixtures("_policy_reject")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_policy_reject_refuses_a_new_weak_pass_code(service, mailbox, method):
    path = LIST if method == "POST" else f"{LIST}/{mailbox.pk}"
    answer = service.call(method, path, {"name": "Support", "password": "1234"})
    assert (answer.status, answer.errors) == (
        400,
        {"password": [{"code": "weak", "message": REASON}]},
    )
    found = Mailbox.objects.get()
    assert (found.name, found.password, found.version) == ("Sales", "4829", 1)


@pytest.mark.usefixtures("_policy_reject")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_policy_reject_accepts_the_present_weak_pass_code(service, weak, method):
    answer = service.call(method, f"{LIST}/{weak.pk}", {"name": "Support", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (200, REASON)
    assert (answer.result["name"], answer.result["password"]) == ("Support", "1234")


@pytest.mark.usefixtures("_policy_reject")
def test_weak_pass_code_is_named_with_all_other_errors(service):
    answer = service.post(LIST, {"name": "", "password": "1234", "beep": "yes"})
    assert (answer.status, set(answer.errors)) == (400, {"name", "password", "beep"})


@pytest.mark.usefixtures("_policy_reject")
@pytest.mark.parametrize("password", ["4829", None])
def test_policy_reject_accepts_a_good_pass_code_or_none(service, password):
    assert service.post(LIST, {"name": "Sales", "password": password}).status == 201
