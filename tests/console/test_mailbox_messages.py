"""The messages on the page of a mailbox, and the count of unheard ones in the table."""

from tests.console.conftest import create_desks, sign_in_with
from tests.console.pages import get_source, get_text
from tests.messages import leave_message


def get_page(browser, mailbox):
    return browser.get(f"/mailboxes/{mailbox.pk}/")


def test_unheard_messages_come_first(viewer, sales):
    for hours, name, heard in ((4, "Ann", False), (3, "Bob", False), (2, "Eve", True)):
        leave_message(sales, name, hours_ago=hours).mark_heard(heard)
    response = get_page(viewer, sales)
    shown = response.context["shown_messages"]
    assert [message.caller_id_name for message in shown] == ["Bob", "Ann", "Eve"]
    assert "Messages 2 unheard" in get_text(response)


def test_page_shows_the_first_messages_and_links_to_all(viewer, sales, account):
    for hours in range(12):
        leave_message(sales, "Ann", hours_ago=hours)
    (other,) = create_desks(account, 1)
    leave_message(other, "Stranger")
    response = get_page(viewer, sales)
    assert len(response.context["shown_messages"]) == 10
    assert f'href="/messages/?mailbox={sales.pk}"' in response.content.decode()
    assert "Search all 12" in get_text(response)
    assert "Stranger" not in get_text(response)


def test_deleted_messages_are_behind_a_link(viewer, sales):
    leave_message(sales, "Ann").soft_delete()
    response = get_page(viewer, sales)
    assert "No messages." in get_text(response)
    assert f'href="/messages/?mailbox={sales.pk}&amp;state=deleted">1 deleted' in (
        response.content.decode()
    )


def test_page_warns_of_a_mailbox_that_is_nearly_full(viewer, sales, settings):
    settings.MESSAGES_PER_MAILBOX = 10
    for _number in range(8):
        leave_message(sales)
    warning = "The mailbox has 9 messages, and can have 10."
    assert "The mailbox has" not in get_text(get_page(viewer, sales))
    leave_message(sales)
    assert warning in get_text(get_page(viewer, sales))


def test_only_managers_see_what_callers_say(viewer, support, manager, sales):
    leave_message(sales, "Ann", text="Swordfish.")
    assert "Swordfish" in get_text(get_page(manager, sales))
    for browser in (viewer, support):
        text = get_text(get_page(browser, sales))
        assert "Ann" in text
        assert "Swordfish" not in text


def test_messages_need_permission(db, sales):
    leave_message(sales, "Ann")
    browser = sign_in_with("view_mailbox")
    text = get_text(get_page(browser, sales))
    assert "Ann" not in text.replace("ann@", "")
    assert "Unheard" not in get_source(browser)


def test_deleted_mailbox_shows_no_messages(viewer, sales):
    leave_message(sales, "Caller")
    sales.soft_delete()
    assert "Caller" not in get_text(get_page(viewer, sales))


def test_table_of_mailboxes_counts_unheard_messages(viewer, sales, account):
    create_desks(account, 1)
    for heard in (False, False, True):
        leave_message(sales).mark_heard(heard)
    leave_message(sales).soft_delete()
    counts = {box.name: box.unheard_count for box in viewer.get("/").context["page"]}
    assert counts == {"Sales": 2, "Desk 000": 0}
