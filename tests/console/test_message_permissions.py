"""Permissions of the lists of messages: path, form, group, status."""

import re

import pytest
from django.utils import timezone

from mailboxes.message_changes import MessageChange
from mailboxes.models import Message
from tests.console.conftest import sign_in_member_of, sign_in_with
from tests.console.pages import get_text
from tests.messages import leave_message

pytestmark = pytest.mark.django_db

# The status for somebody without a permission, a Viewer, Support and a Manager.
TABLE = [
    ("GET", "/messages/", None, (403, 200, 200, 200)),
    ("GET", "/messages/?q=ann", None, (403, 200, 200, 200)),
    ("GET", "/messages/?state=deleted", None, (403, 200, 200, 200)),
    ("POST", "/messages/bulk/", "hear", (403, 403, 302, 302)),
    ("POST", "/messages/bulk/", "unhear", (403, 403, 302, 302)),
    ("POST", "/messages/bulk/", "delete", (403, 403, 302, 302)),
    ("POST", "/messages/bulk/", "restore", (403, 403, 302, 302)),
    ("POST", "/messages/undo/", "hear", (403, 403, 302, 302)),
    ("POST", "/messages/undo/", "unhear", (403, 403, 302, 302)),
    ("POST", "/messages/undo/", "delete", (403, 403, 302, 302)),
    ("POST", "/messages/undo/", "restore", (403, 403, 302, 302)),
    ("GET", "/messages/bulk/", None, (405, 405, 405, 405)),
    ("GET", "/messages/undo/", None, (405, 405, 405, 405)),
    ("POST", "/messages/", None, (405, 405, 405, 405)),
]


@pytest.fixture
def message(sales):
    return leave_message(sales, "Ann", text="Swordfish.")


def prepare(message, action, *, undo):
    """Bring the message to a state in which the action, or its undo, has an effect."""
    heard = {"unhear": True, "hear": False}.get(action, False) ^ (undo and "hear" in action)
    deleted = (action == "restore") ^ (undo and "hear" not in action)
    now = timezone.now()
    Message.objects.update(heard_at=now if heard else None, deleted_at=now if deleted else None)
    if undo:
        state = Message.objects.get().marks
        return {"token": MessageChange(action, {message.pk: state}).sign()}
    return {"action": action, "uuid": message.pk}


@pytest.mark.parametrize(("method", "path", "action", "statuses"), TABLE)
def test_each_group_may_do_what_the_table_says(message, method, path, action, statuses):
    browsers = [sign_in_with(), *map(sign_in_member_of, ("Viewer", "Support", "Manager"))]
    for browser, status in zip(browsers, statuses, strict=True):
        form = prepare(message, action, undo="undo" in path) if action else {}
        before = Message.objects.values_list("heard_at", "deleted_at", "version").get()
        response = browser.get(path) if method == "GET" else browser.post(path, form)
        assert response.status_code == status
        after = Message.objects.values_list("heard_at", "deleted_at", "version").get()
        assert (after != before) == (status == 302)
        Message.objects.update(version=message.version)


def test_confirmation_of_a_deletion_needs_the_permission_to_delete(message):
    path = f"/messages/bulk/delete/?uuid={message.pk}"
    digest = sign_in_member_of("Support").get(path).context["digest"]
    for browser in (
        sign_in_member_of("Viewer"),
        sign_in_with("view_message", "change_message", "listen_to_message"),
    ):
        assert browser.get(path).status_code == 403
        assert browser.post(path, {"digest": digest}).status_code == 403
    assert not Message.objects.get().is_deleted
    assert sign_in_member_of("Manager").post(path, {"digest": digest}).status_code == 302
    assert Message.objects.get().is_deleted


def test_visitor_is_asked_to_sign_in(client, message):
    for path in ("/messages/", "/messages/bulk/", "/messages/undo/"):
        response = client.get(path) if path == "/messages/" else client.post(path)
        assert response.url.startswith("/sign-in/")


@pytest.mark.parametrize(
    ("group", "offered"),
    [
        ("Viewer", []),
        ("Support", ["hear", "unhear", "delete"]),
        ("Manager", ["hear", "unhear", "delete"]),
    ],
)
def test_page_offers_only_what_the_group_may_do(message, sales, group, offered):
    browser = sign_in_member_of(group)
    for path in ("/messages/", f"/mailboxes/{sales.pk}/"):
        page = browser.get(path).content.decode()
        assert re.findall(r'name="action"\s+value="(\w+)"', page) == offered


def test_mark_does_not_include_deletion(message):
    browser = sign_in_with("view_message", "change_message")
    form = {"uuid": message.pk}
    assert browser.post("/messages/bulk/", form | {"action": "hear"}).status_code == 302
    response = browser.post("/messages/bulk/", form | {"action": "delete"})
    assert response.status_code == 403
    assert "You may not delete messages" in get_text(response)


def test_names_of_mailboxes_link_only_for_those_who_may_open_them(message):
    browser = sign_in_with("view_message")
    page = browser.get("/messages/").content.decode()
    assert "Sales" in page
    assert f'href="/mailboxes/{message.mailbox_id}/"' not in page
