"""Conflict detection: what is served has an entity tag, and a write based on an old one is refused."""

import pytest

from mailboxes.models import Mailbox


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}"


@pytest.fixture
def recipient_path(mailbox, path):
    return f"{path}/email-recipient/{mailbox.add_recipient('pete@acme.example').uuid}"


def tag(service, path):
    return service.get(path).headers["etag"]


def test_a_mailbox_a_recipient_and_both_lists_have_a_tag(service, path, recipient_path):
    for where in (path, recipient_path, "/voip/mailbox", f"{path}/email-recipient"):
        assert tag(service, where) == tag(service, where)


def test_what_is_made_or_changed_comes_with_its_new_tag(service, path):
    made = service.post("/voip/mailbox", {"name": "New"})
    assert made.headers["etag"] == tag(service, f"/voip/mailbox/{made.result['uuid']}")
    changed = service.patch(path, {"beep": False})
    assert changed.headers["etag"] == tag(service, path)


def test_an_error_has_none(service, path):
    for answer in (service.get("/voip/mailbox/x"), service.put(path, {})):
        assert "etag" not in answer.headers


@pytest.mark.parametrize("where", ["mailbox", "recipient", "list"])
def test_who_has_it_already_gets_304(service, path, recipient_path, where):
    address = {"mailbox": path, "recipient": recipient_path, "list": "/voip/mailbox"}[where]
    known = {"If-None-Match": tag(service, address)}
    answer = service.get(address, headers=known)
    assert (answer.status, answer.body, answer.headers["etag"]) == (
        304,
        b"",
        known["If-None-Match"],
    )
    service.patch(path, {"beep": False})
    assert service.get(address, headers=known).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_with_the_tag_of_today_is_done(service, path, method):
    headers = {"If-Match": tag(service, path)}
    assert service.call(method, path, {"name": "Changed"}, headers).status in (200, 204)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_with_an_old_tag_is_refused_and_changes_nothing(service, path, method):
    headers = {"If-Match": tag(service, path)}
    service.patch(path, {"name": "Theirs"})
    answer = service.call(method, path, {"name": "Mine"}, headers)
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (412, "changed")
    assert service.get(path).result["name"] == "Theirs"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_so_is_a_write_of_a_recipient(service, path, recipient_path, method):
    headers = {"If-Match": tag(service, recipient_path)}
    service.patch(path, {"beep": False})
    body = {"email": "mine@acme.example"}
    assert service.call(method, recipient_path, body, headers).status == 412
    assert service.get(recipient_path).result["email"] == "pete@acme.example"


@pytest.mark.parametrize("change", ["add", "change", "remove"])
def test_a_change_of_a_recipient_is_a_change_of_its_mailbox(service, path, recipient_path, change):
    headers = {"If-Match": tag(service, path)}
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
        ({"If-Match": "nonsense"}, 412),
        ({"If-Match": "1"}, 412),  # not quoted, so no tag
        ({"If-Match": ""}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"1"'}, 412),
        ({"If-None-Match": '"0"'}, 200),
        ({}, 200),
    ],
)
def test_the_headers_mean_what_rfc_9110_says(service, path, header, status):
    assert service.patch(path, {"beep": False}, headers=header).status == status


def test_over_the_wire(wire):
    path = f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"
    known = tag(wire, path)
    assert wire.get(path, headers={"If-None-Match": known}).status == 304
    assert wire.put(path, {"name": "First"}, headers={"If-Match": known}).status == 200
    assert wire.put(path, {"name": "Second"}, headers={"If-Match": known}).status == 412
    assert wire.get(path).result["name"] == "First"
