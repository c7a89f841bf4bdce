"""ETags: a read with the current one is 304, and a write with an old one is refused."""

import pytest

from mailboxes.models import Mailbox
from mailboxes.trimming import trim_histories


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}"


@pytest.fixture
def recipient_path(mailbox, path):
    return f"{path}/email-recipient/{mailbox.add_recipient('pete@acme.example').uuid}"


def get_tag(service, path):
    return service.get(path).headers["etag"]


def test_mailbox_recipient_and_lists_have_a_stable_etag(service, path, recipient_path):
    for address in (path, recipient_path, "/voip/mailbox", f"{path}/email-recipient"):
        assert get_tag(service, address) == get_tag(service, address)


def test_created_or_changed_mailbox_has_its_new_etag(service, path):
    created = service.post("/voip/mailbox", {"name": "New"})
    assert created.headers["etag"] == get_tag(service, f"/voip/mailbox/{created.result['uuid']}")
    changed = service.patch(path, {"beep": False})
    assert changed.headers["etag"] == get_tag(service, path)


def test_error_has_no_etag(service, path):
    for answer in (service.get("/voip/mailbox/x"), service.put(path, {})):
        assert "etag" not in answer.headers


@pytest.mark.parametrize("name", ["mailbox", "recipient", "list"])
def test_get_with_the_current_etag_is_304(service, path, recipient_path, name):
    address = {"mailbox": path, "recipient": recipient_path, "list": "/voip/mailbox"}[name]
    known = {"If-None-Match": get_tag(service, address)}
    answer = service.get(address, headers=known)
    assert (answer.status, answer.body, answer.headers["etag"]) == (
        304,
        b"",
        known["If-None-Match"],
    )
    service.patch(path, {"beep": False})
    assert service.get(address, headers=known).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_write_with_the_current_etag_succeeds(service, path, method):
    headers = {"If-Match": get_tag(service, path)}
    assert service.call(method, path, {"name": "Changed"}, headers).status in (200, 204)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_write_with_an_old_etag_is_refused_and_changes_nothing(service, path, method):
    headers = {"If-Match": get_tag(service, path)}
    service.patch(path, {"name": "Theirs"})
    answer = service.call(method, path, {"name": "Mine"}, headers)
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (412, "changed")
    assert service.get(path).result["name"] == "Theirs"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_write_of_a_recipient_with_an_old_etag_is_refused(service, path, recipient_path, method):
    headers = {"If-Match": get_tag(service, recipient_path)}
    service.patch(path, {"beep": False})
    body = {"email": "mine@acme.example"}
    assert service.call(method, recipient_path, body, headers).status == 412
    assert service.get(recipient_path).result["email"] == "pete@acme.example"


@pytest.mark.parametrize("source", ["mailbox", "list of recipients"])
def test_recipient_is_not_added_with_an_old_etag(service, path, source):
    recipients = f"{path}/email-recipient"
    read = path if source == "mailbox" else recipients
    headers = {"If-Match": get_tag(service, read)}
    service.patch(path, {"beep": False})
    body = {"email": "mine@acme.example"}
    assert service.post(recipients, body, headers=headers).status == 412
    assert service.get(recipients).result == []
    headers = {"If-Match": get_tag(service, read)}
    assert service.post(recipients, body, headers=headers).status == 201


def test_repeated_call_gets_its_answer_though_its_etag_is_outdated(service, path):
    headers = {"If-Match": get_tag(service, path), "Idempotency-Key": "k"}
    first, second = (
        service.post(f"{path}/email-recipient", {"email": "a@acme.example"}, headers=headers)
        for _ in range(2)
    )
    assert (first.status, first.result) == (second.status, second.result)


@pytest.mark.parametrize("change", ["add", "change", "remove"])
def test_recipient_change_makes_the_mailbox_etag_outdated(service, path, recipient_path, change):
    headers = {"If-Match": get_tag(service, path)}
    if change == "add":
        service.post(f"{path}/email-recipient", {"email": "new@acme.example"})
    elif change == "change":
        service.put(recipient_path, {"email": "new@acme.example"})
    else:
        service.delete(recipient_path)
    assert service.put(path, {"name": "Mine"}, headers=headers).status == 412


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"0", "1", "2"'}, 200),
        ({"If-Match": 'W/"1"'}, 412),  # RFC 9110: a weak tag matches nothing here
        ({"If-Match": 'W/"1", "1"'}, 200),
        ({"If-Match": "nonsense"}, 412),
        ({"If-Match": "1"}, 412),  # a tag has quotation marks
        ({"If-Match": ""}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"1"'}, 412),
        ({"If-None-Match": '"0"'}, 200),
        ({}, 200),
    ],
)
def test_if_match_and_if_none_match_follow_rfc_9110(service, path, header, status):
    assert service.patch(path, {"beep": False}, headers=header).status == status


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_weak_etag_is_refused_by_name(service, path, method):
    answer = service.call(method, path, {"name": "New"}, {"If-Match": 'W/"1"'})
    (error,) = answer.errors["non_field_errors"]
    assert (answer.status, error["code"]) == (412, "weak_etag")
    assert "without W/" in error["message"]


@pytest.mark.parametrize("query", ["limit=2", "limit=2&search=s"])
def test_page_with_another_next_page_or_count_is_no_304(wire, query):
    for name in ("Sales", "Support"):
        wire.post("/voip/mailbox", {"name": name})
    page = f"/voip/mailbox?{query}"
    known = {"If-None-Match": get_tag(wire, page)}
    assert wire.get(page, headers=known).status == 304
    wire.post("/voip/mailbox", {"name": "Service"})
    answer = wire.get(page, headers=known)
    assert (answer.status, answer.headers["x-total-count"]) == (200, "3")
    assert answer.headers["link"].endswith('rel="next"')
    wire.post("/voip/mailbox", {"name": "Stock"})
    answer = wire.get(page, headers={"If-None-Match": answer.headers["etag"]})
    assert (answer.status, answer.headers["x-total-count"]) == (200, "4")


def test_changes_with_another_cursor_are_no_304(service, account, path):
    other = Mailbox.objects.create(account=account, name="Support")
    cursor = service.get("/voip/mailbox?changed_since=0").headers["x-changes-cursor"]
    address = f"/voip/mailbox?changed_since={cursor}"
    known = {"If-None-Match": get_tag(service, address)}
    assert service.get(address, headers=known).status == 304
    other.soft_delete()
    answer = service.get(address, headers=known)
    assert (answer.status, answer.result) == (200, [])
    assert answer.headers["x-changes-cursor"] != cursor


def test_history_with_another_author_or_fewer_changes_is_no_304(service, account, settings, path):
    for beep in (False, True):
        service.patch(path, {"beep": beep})
    history = f"{path}/history"
    known = {"If-None-Match": get_tag(service, history)}
    assert service.get(history, headers=known).status == 304
    account.credentials.update(name="new-name")
    answer = service.get(history, headers=known | {"X-Auth-User": "new-name"})
    assert answer.result[0]["by"]["credential"] == "new-name"
    known = {"If-None-Match": answer.headers["etag"], "X-Auth-User": "new-name"}
    settings.HISTORY_CHANGES = 1
    trim_histories()
    assert len(service.get(history, headers=known).result) == 1


def test_conditional_headers_work_over_the_wire(wire):
    path = f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"
    known = get_tag(wire, path)
    assert wire.get(path, headers={"If-None-Match": known}).status == 304
    assert wire.put(path, {"name": "First"}, headers={"If-Match": known}).status == 200
    assert wire.put(path, {"name": "Second"}, headers={"If-Match": known}).status == 412
    assert wire.get(path).result["name"] == "First"
