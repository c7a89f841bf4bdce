"""Messages in a real browser: found, marked, deleted and restored."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox, Message
from tests.browser.conftest import assert_accessible, sign_in
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def sales(db):
    account = Account.objects.create(name="acme")
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def messages(sales):
    """Leave four messages, of which those of Ann and Bob mention an invoice."""
    texts = {"Ann": "The invoice is wrong.", "Bob": "Invoice?", "Eve": "Ring me.", "Zoe": None}
    for hours, (name, text) in enumerate(texts.items()):
        leave_message(sales, name, text=text, hours_ago=hours, caller_id_number="+44 20 7946")
    wide = Mailbox.objects.create(account=sales.account, name="W" * 100)
    leave_message(wide, "W" * 100, hours_ago=9)


def list_rows(page, count):
    """Wait for this number of rows, and return the callers' names."""
    expect(page.locator("tr[data-row]")).to_have_count(count)
    names = page.locator("tr[data-row] .name a").all_text_contents()
    return [text.replace("Unheard:", "").split()[0] for text in names]


def expect_message(page, text):
    expect(page.locator(".messages li span")).to_have_text([text])


def read_state(**conditions):
    found = Message.objects.filter(**conditions)
    return sorted(found.values_list("caller_id_name", flat=True))


def test_words_are_found_deleted_and_restored(page, messages, rosa):
    page.get_by_role("link", name="Messages").click()
    assert len(list_rows(page, 5)) == 5
    assert_accessible(page)
    page.get_by_label("Search the messages").fill("invoice")
    assert list_rows(page, 2) == ["Ann", "Bob"]
    page.get_by_label("All 2 that match").evaluate("box => box.click()")
    assert_accessible(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 2 messages")).to_be_visible()
    assert_accessible(page)
    assert read_state(deleted_at__isnull=False) == []
    page.get_by_role("button", name="Delete 2 messages").click()
    expect_message(page, "2 messages were deleted.")
    expect(page.get_by_role("heading", name="No message matches")).to_be_visible()
    assert_accessible(page)
    assert read_state(deleted_at__isnull=False) == ["Ann", "Bob"]
    page.get_by_role("button", name="Undo").click()
    expect_message(page, "2 messages were restored.")
    assert list_rows(page, 2) == ["Ann", "Bob"]
    assert read_state(deleted_at__isnull=False) == []
    assert_accessible(page)


def test_messages_are_marked_and_deleted_by_keyboard(page, messages, rosa):
    page.goto("/messages/")
    ann = page.get_by_role("link", name="Ann +44 20 7946")
    page.keyboard.press("j")
    expect(ann).to_be_focused()
    page.keyboard.press("e")
    expect_message(page, "1 message was marked as heard.")
    expect(ann).to_be_focused()
    assert read_state(heard_at__isnull=False) == ["Ann"]
    page.keyboard.press("e")
    expect_message(page, "1 message was marked as unheard.")
    expect(ann).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("#")
    page.get_by_role("button", name="Delete 2 messages").click()
    expect_message(page, "2 messages were deleted.")
    assert read_state(deleted_at__isnull=False) == ["Bob", "Eve"]
    page.keyboard.press("j")
    page.keyboard.press("#")
    expect_message(page, "1 message was deleted.")
    assert read_state(deleted_at__isnull=False) == ["Ann", "Bob", "Eve"]
    expect(page.locator("tr[data-row] a:focus")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_text("Delete messages: the selected ones, or the row")).to_be_visible()
    assert page.console_messages == []


def test_keys_do_nothing_without_a_row_or_a_permission(page, messages):
    sign_in(page, "vera", "Viewer")
    page.goto("/messages/")
    for key in ("e", "#", "j", "e", "#"):
        page.keyboard.press(key)
    expect(page.get_by_role("link", name="Ann +44 20 7946")).to_be_focused()
    assert read_state(version=1, transcription_status="off") == ["W" * 100, "Zoe"]
    assert read_state(heard_at=None, deleted_at=None) == ["Ann", "Bob", "Eve", "W" * 100, "Zoe"]
    assert page.console_messages == []


def test_page_of_a_mailbox_keeps_what_is_typed_when_messages_are_marked(
    page, messages, sales, rosa
):
    page.goto(f"/mailboxes/{sales.pk}/")
    assert_accessible(page)
    page.get_by_label("Name").fill("Front desk")
    page.get_by_label("Select the message of Bob").check()
    page.get_by_role("button", name="Mark as heard").click()
    expect_message(page, "1 message was marked as heard.")
    assert list_rows(page, 4) == ["Ann", "Eve", "Zoe", "Bob"]
    expect(page.get_by_text("3 unheard")).to_be_visible()
    assert page.get_by_label("Name").input_value() == "Front desk"
    assert page.console_messages == []


def test_support_finds_no_words_of_messages(page, messages):
    sign_in(page, "sam", "Support")
    page.goto("/messages/")
    assert "invoice" not in page.content()
    page.get_by_label("Search the messages").fill("invoice")
    expect(page.get_by_role("heading", name="No message matches")).to_be_visible()
    page.get_by_label("Search the messages").fill("bob")
    assert list_rows(page, 1) == ["Bob"]
    assert_accessible(page)


def test_messages_are_deleted_and_restored_without_javascript(browser, live_server, messages):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "sam", "Support")
    page.goto("/messages/?q=bob")
    page.get_by_label("Select the message of Bob").check()
    page.get_by_role("button", name="Delete").click()
    expect_message(page, "1 message was deleted.")
    page.get_by_role("button", name="Undo").click()
    expect_message(page, "1 message was restored.")
    assert list_rows(page, 1) == ["Bob"]
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Heard").select_option("Unheard")
    page.get_by_label("Search the messages").fill("")
    page.get_by_role("button", name="Search", exact=True).click()
    assert len(list_rows(page, 5)) == 5
    context.close()
