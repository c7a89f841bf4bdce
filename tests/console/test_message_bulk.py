"""Changes of selected messages, and undo."""

from urllib.parse import urlencode

import pytest
from django.utils import timezone

from mailboxes.models import Message
from tests.console.conftest import create_desks, get_undo_address, list_messages
from tests.console.pages import get_text
from tests.messages import leave_message

NAMES = ("Ann", "Bob", "Eve")


@pytest.fixture
def three(sales):
    """Leave a message of each name, the first one the newest."""
    return [leave_message(sales, name, hours_ago=hours) for hours, name in enumerate(NAMES)]


def change(browser, action, chosen, **query):
    form = {"action": action, "uuid": [message.pk for message in chosen]}
    return browser.post(f"/messages/bulk/?{urlencode(query)}", form, follow=True)


def undo(browser, response):
    (message,) = [message for message in response.context["messages"] if message.extra_tags]
    if ":" not in message.extra_tags:
        return browser.post(get_undo_address(response), follow=True)
    return browser.post("/messages/undo/", {"token": message.extra_tags}, follow=True)


def read_state():
    """Return the names of the messages that are unheard, heard and deleted."""
    state = {"unheard": [], "heard": [], "deleted": []}
    for row in Message.objects.order_by("caller_id_name"):
        kind = "deleted" if row.is_deleted else "heard" if row.is_heard else "unheard"
        state[kind].append(row.caller_id_name)
    return state


def test_selected_messages_are_marked_as_heard_by_the_user(support, three):
    response = change(support, "hear", three[:2])
    assert list_messages(response) == ["2 messages were marked as heard."]
    assert read_state() == {"unheard": ["Eve"], "heard": ["Ann", "Bob"], "deleted": []}
    assert Message.objects.get(caller_id_name="Ann").heard_by == support.user


@pytest.mark.parametrize(
    ("action", "opposite", "text"),
    [
        ("hear", "unhear", "1 message was marked as unheard."),
        ("delete", "restore", "1 message was restored."),
    ],
)
def test_change_is_undone_and_the_undo_too(support, three, action, opposite, text):
    before = read_state()
    response = change(support, action, three[:1])
    changed = read_state()
    assert changed != before
    response = undo(support, response)
    assert list_messages(response) == [text]
    assert read_state() == before
    undo(support, response)
    assert read_state() == changed


def test_undo_leaves_those_alone_that_were_as_wanted_already(support, three):
    three[0].mark_heard(True)
    response = change(support, "hear", three)
    assert list_messages(response) == ["2 messages were marked as heard."]
    undo(support, response)
    assert read_state()["heard"] == ["Ann"]


def test_undo_leaves_those_alone_that_have_changed_since(support, three):
    response = change(support, "hear", three[:2])
    Message.objects.get(caller_id_name="Ann").soft_delete()
    assert list_messages(undo(support, response)) == [
        "1 message was marked as unheard.",
        "1 message has changed since and was not undone.",
    ]
    assert read_state() == {"unheard": ["Bob", "Eve"], "heard": [], "deleted": ["Ann"]}


def test_second_undo_changes_nothing(support, three):
    for action in ("delete", "hear"):
        response = change(support, action, three[:1])
        undo(support, response)
        assert list_messages(undo(support, response)) == [
            "This change was already undone."
            if action == "delete"
            else "1 message has changed since and was not undone."
        ]
    assert read_state() == {"unheard": [*NAMES], "heard": [], "deleted": []}


def test_second_click_changes_nothing(support, three):
    change(support, "delete", three[:1])
    version = Message.objects.get(caller_id_name="Ann").version
    assert list_messages(change(support, "delete", three[:1])) == ["Nothing was changed."]
    assert Message.objects.get(caller_id_name="Ann").version == version


def test_message_is_not_restored_to_a_full_mailbox(support, three, settings):
    settings.MESSAGES_PER_MAILBOX = 2
    for message in three[1:]:
        message.soft_delete()
    response = change(support, "restore", three[1:])
    assert list_messages(response) == [
        "1 message was restored.",
        "1 message was not restored: its mailbox is full.",
    ]
    assert len(read_state()["deleted"]) == 1


def test_message_past_retention_is_not_restored(support, three, settings):
    deleted_at = timezone.now() - timezone.timedelta(days=settings.RETENTION_DAYS + 1)
    Message.objects.update(deleted_at=deleted_at)
    assert list_messages(change(support, "restore", three)) == ["Nothing was changed."]


def test_messages_of_a_deleted_mailbox_stay_as_they_are(support, three, sales):
    sales.soft_delete()
    assert list_messages(change(support, "delete", three)) == ["Nothing was changed."]


def test_all_that_match_are_changed_on_every_page(support, three, account):
    (other,) = create_desks(account, 1)
    leave_message(other, "Zoe")
    shown_at = support.get("/messages/").context["shown_at"]
    leave_message(three[0].mailbox, "Later")
    form = {"action": "hear", "all": "on", "shown_at": shown_at}
    support.post(f"/messages/bulk/?mailbox={three[0].mailbox_id}", form)
    assert read_state()["heard"] == [*NAMES]
    assert read_state()["unheard"] == ["Later", "Zoe"]


def test_all_that_match_a_search_of_support_are_those_of_its_callers(support, three):
    three[0].transcription = "Swordfish."
    three[0].save()
    form = {"action": "delete", "all": "on", "shown_at": timezone.now().isoformat()}
    support.post("/messages/bulk/?q=swordfish", form)
    assert read_state()["deleted"] == []


def test_empty_selection_is_named(support, three):
    assert list_messages(change(support, "hear", [])) == [
        "No message was selected. Select some rows first."
    ]


def test_too_large_selection_is_refused(support, three, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.message_list.MOST_CHANGED", 2)
    assert list_messages(change(support, "delete", three)) == [
        "Nothing was done: select at most 2 messages at once."
    ]
    assert read_state()["deleted"] == []
    assert "All 3 that match" not in get_text(support.get("/messages/"))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/messages/bulk/", {"action": "shout"}),
        ("/messages/bulk/", {}),
        ("/messages/bulk/", {"action": "hear", "all": "on"}),
        ("/messages/bulk/", {"action": "hear", "all": "on", "shown_at": "2023-13-01T00:00:00Z"}),
        ("/messages/bulk/", {"action": "hear", "all": "on", "shown_at": "2023-01-01T00:00:00"}),
        ("/messages/undo/", {}),
        ("/messages/undo/", {"token": "forged:token"}),
    ],
)
def test_wrong_form_is_refused(support, three, path, form):
    assert support.post(path, form).status_code == 400


def test_page_returns_to_the_table_as_it_was(support, three):
    form = {"action": "hear", "uuid": three[0].pk, "next": "/messages/?heard=no"}
    assert support.post("/messages/bulk/", form).url == "/messages/?heard=no"
    form["next"] = "https://evil.example/"
    assert support.post("/messages/bulk/", form).url == "/messages/"


def test_next_page_may_be_a_relative_address(support, three):
    form = {"action": "hear", "uuid": three[0].pk, "next": "page"}
    assert support.post("/messages/bulk/", form).url == "page"
