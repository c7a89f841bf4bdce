"""Changes of selected messages, and undo."""

from urllib.parse import urlencode

import pytest
from django.utils import timezone

from mailboxes import message_changes
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


def confirm(browser, response):
    """Press the button of the page that confirms the deletion of several messages."""
    form = {"digest": response.context["digest"]}
    return browser.post(response.wsgi_request.get_full_path(), form, follow=True)


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


def test_late_transcription_does_not_prevent_undo(support, sales):
    message = leave_message(sales, transcription_status="pending")
    response = change(support, "hear", [message])
    Message.finish_transcription(message.pk, "failed")
    assert list_messages(undo(support, response)) == ["1 message was marked as unheard."]


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
    assert list_messages(change(support, "delete", three[:1])) == [
        "1 message had been deleted meanwhile and was left as it is."
    ]
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
    assert list_messages(change(support, "restore", three)) == [
        "3 messages had been restored or removed meanwhile and were left as they are."
    ]


def test_messages_of_a_deleted_mailbox_stay_as_they_are(support, three, sales):
    sales.soft_delete()
    assert list_messages(change(support, "delete", three[:1])) == [
        "1 message had been deleted meanwhile and was left as it is."
    ]
    assert list_messages(change(support, "delete", three)) == [
        "Nothing was done: none of these messages is present."
    ]


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
    for module in ("views.message_list", "message_filters"):
        monkeypatch.setattr(f"mailboxes.console.{module}.MOST_CHANGED", 2)
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


# --- The deletion of several is confirmed ---------------------------------------


def test_deletion_of_several_is_confirmed(support, three):
    three[2].transcription = "Swordfish."
    three[2].save()
    page = change(support, "delete", three)
    text = get_text(page)
    assert page.wsgi_request.path == "/messages/bulk/delete/"
    assert "Delete 3 messages" in text
    assert "For 30 days you can restore what you delete." in text
    for name in NAMES:
        assert f"{name} Sales acme" in text
    assert "Swordfish" not in text
    assert read_state()["deleted"] == []
    page = confirm(support, page)
    assert list_messages(page) == ["3 messages were deleted."]
    assert read_state()["deleted"] == [*NAMES]
    undo(support, page)
    assert read_state()["deleted"] == []


def test_deletion_of_one_needs_no_confirmation(support, three):
    assert list_messages(change(support, "delete", three[:1])) == ["1 message was deleted."]


def test_deletion_of_all_that_match_is_confirmed(support, three):
    leave_message(three[0].mailbox, "Zoe").mark_heard(True)
    shown_at = support.get("/messages/").context["shown_at"]
    form = {"action": "delete", "all": "on", "shown_at": shown_at}
    page = support.post("/messages/bulk/?heard=no", form, follow=True)
    leave_message(three[0].mailbox, "Later")
    confirm(support, page)
    assert read_state()["deleted"] == [*NAMES]


def test_confirmation_by_a_script_is_another_page(support, three):
    form = {"action": "delete", "uuid": [message.pk for message in three], "next": "/messages/?q=n"}
    response = support.post("/messages/bulk/", form, headers={"HX-Request": "true"})
    page = support.get(response["HX-Redirect"])
    assert "Delete 3 messages" in get_text(page)
    assert 'href="/messages/?q=n"' in page.content.decode()
    assert confirm(support, page).redirect_chain == [("/messages/?q=n", 302)]


def test_messages_that_changed_since_the_confirmation_are_not_deleted(support, three):
    page = change(support, "delete", three)
    Message.objects.get(caller_id_name="Ann").mark_heard(True)
    page = confirm(support, page)
    assert "has changed since this page was loaded, so nothing was done" in get_text(page)
    assert read_state()["deleted"] == []
    confirm(support, page)
    assert read_state()["deleted"] == [*NAMES]


def test_deleted_messages_are_not_among_those_to_confirm(support, three):
    three[0].soft_delete()
    page = change(support, "delete", three)
    assert "Delete 2 messages" in get_text(page)
    three[1].soft_delete()
    three[2].soft_delete()
    assert list_messages(confirm(support, page)) == [
        "Nothing was done: none of these messages is present."
    ]


def test_foreign_page_after_the_confirmation_is_ignored(support, three):
    query = urlencode({"uuid": three[0].pk, "next": "https://evil.example/"})
    page = support.get(f"/messages/bulk/delete/?{query}")
    assert "evil" not in page.content.decode().partition("<main")[2].partition("<form")[0]
    assert confirm(support, page).redirect_chain == [("/messages/", 302)]


# --- Messages that changed meanwhile --------------------------------------------


@pytest.mark.parametrize("action", ["hear", "restore"])
def test_messages_that_changed_meanwhile_are_counted(support, three, action):
    for message in three:
        if (message != three[0]) == (action == "hear"):
            message.soft_delete()
    outcomes = list_messages(change(support, action, three))
    assert (
        outcomes
        == {
            "hear": [
                "1 message was marked as heard.",
                "2 messages had been deleted meanwhile and were left as they are.",
            ],
            "restore": [
                "1 message was restored.",
                "2 messages had been restored or removed meanwhile and were left as they are.",
            ],
        }[action]
    )


# --- Writes ---------------------------------------------------------------------


@pytest.mark.parametrize("action", ["hear", "delete", "restore"])
def test_change_of_many_takes_as_many_queries_as_of_few(
    support, account, action, django_assert_max_num_queries
):
    rows = [leave_message(desk) for desk in create_desks(account, 3) for _ in range(5)]
    if action == "restore":
        Message.objects.update(deleted_at=timezone.now())
    with django_assert_max_num_queries(14):
        message_changes.change_messages(action, [row.pk for row in rows], support.user)
    assert set(Message.objects.values_list("version", flat=True)) == {2}
