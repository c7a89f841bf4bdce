"""Deletions of messages among the changes by staff, and in the history of mailboxes."""

from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes.models import Batch, Message, MessageHistory
from tests.console.conftest import (
    create_desks,
    get_undo_address,
    list_messages,
    sign_in_with,
)
from tests.console.pages import get_source, get_text
from tests.messages import leave_message


def get_address(message, part=""):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/{part}"


def press(browser, message, action, **form):
    return browser.post(get_address(message, f"{action}/"), form, follow=True)


def delete_selected(browser, messages):
    form = {"action": "delete", "uuid": [message.pk for message in messages]}
    page = browser.post("/messages/bulk/", form, follow=True)
    if page.wsgi_request.path == "/messages/bulk/delete/":
        form = {"digest": page.context["digest"]}
        page = browser.post(page.wsgi_request.get_full_path(), form, follow=True)
    return page


def reload(message):
    return Message.objects.get(pk=message.pk)


# --- Changes --------------------------------------------------------------------


def test_deletion_and_restoration_are_listed_with_their_author(support, message):
    press(support, message, "delete")
    press(support, message, "restore")
    text = get_text(support.get("/changes/"))
    assert "Restored: 1 message of “Sales”. in acme support" in text
    assert "Deleted: 1 message of “Sales”. in acme support" in text


def test_marks_are_not_listed(support, message):
    press(support, message, "hear")
    press(support, message, "unhear")
    assert not Batch.objects.exists()
    assert not MessageHistory.objects.exists()


def test_deletion_that_changes_nothing_is_not_listed(support, message):
    message.soft_delete()
    press(support, message, "delete")
    assert not Batch.objects.exists()


def test_page_of_a_deletion_counts_the_messages_of_each_mailbox(support, account):
    first, second = create_desks(account, 2)
    rows = [leave_message(desk) for desk in (first, first, second)]
    delete_selected(support, rows)
    page = support.get(f"/changes/{Batch.objects.get().pk}/")
    text = get_text(page)
    assert "Deleted: 3 messages." in text
    assert "Desk 000 acme Deleted 2 messages" in text
    assert "Desk 001 acme Deleted 1 message" in text
    second.delete()
    assert "1 message is not listed" in get_text(support.get(page.wsgi_request.path))


def test_deletion_is_undone_from_the_list_of_changes(support, sales):
    rows = [leave_message(sales) for _ in range(3)]
    delete_selected(support, rows)
    batch = Batch.objects.get()
    Message.objects.filter(pk=rows[0].pk).update(deleted_at=timezone.now())
    page = support.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert list_messages(page) == [
        "2 messages were restored.",
        "1 message has changed since and was not undone.",
    ]
    assert "2 of 3 undone" in get_text(page)
    assert "Undone: 2 messages of “Sales”." in get_text(page)
    assert Message.objects.active().count() == 2
    support.post(get_undo_address(page))  # the undo, too
    assert Message.objects.active().count() == 0


def test_deletion_is_undone_once(support, message):
    undo = get_undo_address(delete_selected(support, [message]))
    support.post(undo, follow=True)
    page = support.post(undo, follow=True)
    assert list_messages(page) == ["This change was already undone."]


def test_undo_needs_the_permission_to_delete_messages(viewer, support, message):
    undo = get_undo_address(delete_selected(support, [message]))
    assert viewer.post(undo).status_code == 403
    assert undo not in get_source(viewer, "/changes/")
    clerk = sign_in_with("view_mailbox", "change_mailbox", "delete_mailbox")
    assert clerk.post(undo).status_code == 403
    assert reload(message).is_deleted
    assert undo in get_source(support, "/changes/")


def test_restoration_to_a_full_mailbox_is_not_undone(support, message, settings):
    undo = get_undo_address(delete_selected(support, [message]))
    settings.MESSAGES_PER_MAILBOX = 1
    leave_message(message.mailbox)
    page = support.post(undo, follow=True)
    assert list_messages(page) == ["1 message was not restored: its mailbox is full."]
    assert Batch.objects.get().undone_at is None


# --- History of the mailbox -----------------------------------------------------


def test_history_of_the_mailbox_names_who_deleted_messages(support, message):
    delete_selected(support, [message])
    page = support.get(f"/mailboxes/{message.mailbox_id}/history/")
    text = get_text(page)
    assert "Who deleted or restored messages support" in text
    assert "Deleted 1 message · Entry in Changes" in text
    assert f"/changes/{Batch.objects.get().pk}/" in page.content.decode()


def test_history_of_the_mailbox_names_programs(support, service, message):
    path = f"/voip/mailbox/{message.mailbox_id}/messages"
    assert service.delete(f"{path}/{message.pk}").status == 204
    assert service.post(f"{path}/{message.pk}/restore").status == 200
    change = {"action": "delete", "uuids": [str(message.pk), str(uuid4())]}
    assert service.post(f"{path}/bulk", change).status == 200
    assert [entry.action for entry in MessageHistory.objects.all()] == [
        "delete",
        "restore",
        "delete",
    ]
    text = get_text(support.get(f"/mailboxes/{message.mailbox_id}/history/"))
    assert text.count("of acme, through the API,") == 3
    assert "Restored 1 message" in text


def test_history_of_messages_is_shown_in_pages(support, sales):
    message = leave_message(sales)
    for number in range(21):
        message.change("restore" if number % 2 else "delete", support.user)
    address = f"/mailboxes/{sales.pk}/history/"
    page = support.get(address)
    assert get_text(page).count("Deleted 1 message") == 11 - 1
    assert "deletions=2" in page.content.decode()
    assert get_text(support.get(f"{address}?deletions=2")).count("Deleted 1 message") == 1


def test_history_of_messages_needs_the_permission_to_see_them(message):
    message.soft_delete()
    clerk = sign_in_with("view_mailbox")
    text = get_text(clerk.get(f"/mailboxes/{message.mailbox_id}/history/"))
    assert "Who deleted" not in text


# --- Two tabs -------------------------------------------------------------------

SINCE = "Since this page was loaded, "


@pytest.mark.parametrize(
    ("seen", "now", "action", "notices"),
    [
        ("unheard", "delete", "hear", ["manager has deleted the message."]),
        ("unheard", "delete", "delete", ["manager has deleted the message."]),
        ("heard", "unhear", "unhear", ["the message has been marked as unheard."]),
        ("unheard", "hear", "hear", ["manager has marked the message as heard."]),
        ("deleted", "restore", "restore", ["the message has been restored."]),
        ("unheard", "hear", "delete", ["manager has marked the message as heard."]),
    ],
)
def test_action_on_a_message_that_changed_meanwhile_says_so(
    support, manager, message, seen, now, action, notices
):
    if seen != "unheard":
        message.change({"heard": "hear", "deleted": "delete"}[seen])
    page = get_source(support, get_address(message))
    assert f'name="seen" value="{seen}"' in page
    press(manager, message, now)
    page = press(support, message, action, seen=seen)
    expected = [SINCE + notice for notice in notices]
    if action == "delete" and now == "hear":  # is done all the same
        expected.append("1 message was deleted.")
    assert list_messages(page) == expected


def test_message_that_is_heard_in_two_tabs_needs_no_notice(manager, message):
    press(manager, message, "hear")
    address = get_address(message, "hear/")
    form = {"seen": "unheard"}
    page = manager.post(address, form, headers={"HX-Request": "true"}, follow=True)
    assert list_messages(page) == []


def test_recording_of_a_message_that_was_deleted_meanwhile_says_so(manager, message):
    press(manager, message, "delete")
    address = get_address(message, "hear/")
    form = {"seen": "unheard"}
    page = manager.post(address, form, headers={"HX-Request": "true"}, follow=True)
    assert list_messages(page) == [f"{SINCE}manager has deleted the message."]


# --- The way back ---------------------------------------------------------------


def test_message_opened_from_a_list_leads_back_to_it(support, message):
    page = get_source(support, "/messages/?q=ann&heard=no")
    address = f"{get_address(message)}?from=q%3Dann%26heard%3Dno"
    assert f'href="{address}"' in page
    page = get_source(support, address)
    assert 'href="/messages/?q=ann&amp;heard=no">Messages</a>' in page
    assert 'value="/messages/?q=ann&amp;heard=no"' in page
    (current,) = [line for line in page.split("<li>") if 'aria-current="true"' in line]
    assert ">Messages</a>" in current
    form = {"next": "/messages/?q=ann&heard=no"}
    page = support.post(f"{get_address(message)}delete/?from=x", form, follow=True)
    assert page.redirect_chain == [("/messages/?q=ann&heard=no", 302)]


def test_message_opened_from_its_mailbox_leads_back_to_that(support, message):
    page = get_source(support, f"{get_address(message)}?list=q%3Dacme")
    assert f'value="/mailboxes/{message.mailbox_id}/?list=q%3Dacme"' in page
    (current,) = [line for line in page.split("<li>") if 'aria-current="true"' in line]
    assert ">Mailboxes</a>" in current


def test_page_of_the_list_is_kept(support, sales, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.message_list.ROWS_PER_PAGE", 1)
    leave_message(sales)
    leave_message(sales)
    assert "?from=page%3D2" in get_source(support, "/messages/?page=2")


def test_next_message_keeps_the_list(support, sales):
    message, newer = leave_message(sales), leave_message(sales)
    page = get_source(support, f"{get_address(message)}?from=")
    assert f'href="{get_address(newer)}?from="' in page
    assert 'href="/messages/">Messages</a>' in page


# --- Mailboxes that are deleted with messages -----------------------------------


def test_deletion_of_a_mailbox_counts_its_messages(support, message, sales):
    leave_message(sales).soft_delete()
    page = support.post(f"/mailboxes/{sales.pk}/delete/", follow=True)
    assert list_messages(page) == [
        "Deleted: “Sales”.",
        "Its 1 message was deleted too, and is restored with the mailbox.",
    ]


def test_deletion_of_an_empty_mailbox_says_nothing_of_messages(support, sales):
    page = support.post(f"/mailboxes/{sales.pk}/delete/", follow=True)
    assert list_messages(page) == ["Deleted: “Sales”."]


def test_deletion_of_mailboxes_counts_their_messages_before(support, sales, account, monkeypatch):
    (desk,) = create_desks(account, 1)
    for mailbox in (sales, sales, desk):
        leave_message(mailbox)
    address = f"/bulk/delete/?uuid={sales.pk}&uuid={desk.pk}"
    assert "3 messages are deleted too, and are restored with their mailboxes." in get_text(
        support.get(address)
    )
    monkeypatch.setattr("mailboxes.console.views.message_list.MOST_COUNTED", 2)
    monkeypatch.setattr("mailboxes.console.views.bulk.MOST_COUNTED", 2)
    assert "2 or more messages are deleted too" in get_text(support.get(address))


def test_counts_of_messages_need_the_permission_to_see_them(message, sales):
    clerk = sign_in_with("view_mailbox", "delete_mailbox")
    assert "deleted too" not in get_text(clerk.get(f"/bulk/delete/?uuid={sales.pk}"))
