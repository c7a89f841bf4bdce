"""A pass code that is easy to guess: taken with a warning, or refused where PASS_CODE_POLICY is `reject`."""

import pytest

from mailboxes.models import Mailbox
from tests.service import shows

LIST = "/voip/mailbox"
WARNING = "x-pass-code-warning"
WHY = "It is easy to guess: its digits count up or down."


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="4829")


@pytest.fixture
def weak(account):
    return Mailbox.objects.create(account=account, name="Weak", password="1234")


@pytest.fixture
def _reject(settings):
    settings.PASS_CODE_POLICY = "reject"


def test_made_with_a_weak_one_is_warned_of(wire):
    answer = wire.post(LIST, {"name": "Sales", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (201, WHY)
    assert not shows(answer.headers, "1234")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changed_to_a_weak_one_is_warned_of(service, mailbox, method):
    path = f"{LIST}/{mailbox.pk}"
    answer = service.call(method, path, {"name": "Sales", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (200, WHY)


def test_the_first_answer_given_again_warns_again(service):
    for _ in range(2):
        body, headers = {"name": "Sales", "password": "1234"}, {"Idempotency-Key": "k"}
        answer = service.post(LIST, body, headers=headers)
        assert (answer.status, answer.headers[WARNING]) == (201, WHY)


@pytest.mark.parametrize("password", ["4829", None])
def test_a_good_one_or_none_is_no_reason_to_warn(service, password):
    assert WARNING not in service.post(LIST, {"name": "Sales", "password": password}).headers


def test_what_sets_no_pass_code_does_not_warn(service, weak):
    path = f"{LIST}/{weak.pk}"
    answers = [service.patch(path, {"name": "Support"}), service.get(path), service.get(LIST)]
    service.delete(path)
    answers.append(service.post(f"{path}/restore", {"password": "1234"}))
    refused = service.patch(path, {"name": "", "password": "1234"})
    assert [answer.status for answer in (*answers, refused)] == [200, 200, 200, 200, 400]
    assert not any(WARNING in answer.headers for answer in (*answers, refused))


@pytest.mark.usefixtures("_reject")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_new_weak_one_is_refused_and_nothing_changes(service, mailbox, method):
    path = LIST if method == "POST" else f"{LIST}/{mailbox.pk}"
    answer = service.call(method, path, {"name": "Support", "password": "1234"})
    assert (answer.status, answer.errors) == (400, {"password": [{"code": "weak", "message": WHY}]})
    kept = Mailbox.objects.get()
    assert (kept.name, kept.password, kept.version) == ("Sales", "4829", 1)


@pytest.mark.usefixtures("_reject")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_weak_one_that_a_mailbox_has_may_be_sent_again(service, weak, method):
    answer = service.call(method, f"{LIST}/{weak.pk}", {"name": "Support", "password": "1234"})
    assert (answer.status, answer.headers[WARNING]) == (200, WHY)
    assert (answer.result["name"], answer.result["password"]) == ("Support", "1234")


@pytest.mark.usefixtures("_reject")
def test_all_that_is_wrong_is_told_at_once(service):
    answer = service.post(LIST, {"name": "", "password": "1234", "beep": "yes"})
    assert (answer.status, set(answer.errors)) == (400, {"name", "password", "beep"})


@pytest.mark.usefixtures("_reject")
@pytest.mark.parametrize("password", ["4829", None])
def test_a_good_one_or_none_is_taken(service, password):
    assert service.post(LIST, {"name": "Sales", "password": password}).status == 201
