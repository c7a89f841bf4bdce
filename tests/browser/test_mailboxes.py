"""Find, change and undo mailboxes in a real browser, by pointer and by keyboard."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from mailboxes import batches
from mailboxes.models import Account, Batch, EmailRecipient, Mailbox
from tests.browser.conftest import assert_accessible, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(db):
    return Account.objects.create(name="acme")


@pytest.fixture
def desks(acme):
    """Create 210 mailboxes of two accounts, each with a recipient."""
    other = Account.objects.create(name="other", reseller=acme)
    mailboxes = Mailbox.objects.bulk_create(
        Mailbox(account=acme if number < 200 else other, name=f"Desk {number:03}")
        for number in range(210)
    )
    EmailRecipient.objects.bulk_create(
        EmailRecipient(mailbox=mailbox, email=f"desk{number}@acme.example")
        for number, mailbox in enumerate(mailboxes)
    )
    importer = User.objects.create_user("ida")
    batch = Batch.objects.create(user=importer, action=Batch.Action.IMPORTED)
    batches.record_batch(batch, mailboxes, "+", timezone.now())


@pytest.fixture
def sales(acme):
    mailbox = Mailbox(account=acme, name="Sales")
    mailbox.password = "7392"
    mailbox.save()
    mailbox.add_recipient("ann@acme.example")
    return mailbox


def list_names(page):
    return page.locator("tr[data-row] .name").all_inner_texts()


def read_messages(page):
    page.wait_for_load_state()
    return page.locator(".messages span").all_inner_texts()


def test_mailbox_is_found_changed_put_back_and_undone(page, desks, rosa):
    page.get_by_label("Search the mailboxes").fill("desk77@acme.example")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    assert page.url.endswith("?q=desk77%40acme.example")
    page.get_by_role("link", name="Desk 077").click()
    page.get_by_label("Name").fill("Front desk")
    page.get_by_label("Transcribe").check()
    page.get_by_role("button", name="Save").click()
    assert read_messages(page) == ["Saved: “Front desk”."]
    assert_accessible(page)
    page.get_by_role("link", name="History").click()
    assert "Name Desk 077 → Front desk" in " ".join(page.get_by_role("main").inner_text().split())
    assert_accessible(page)
    page.get_by_role("button", name="Put this state back").first.click()
    assert read_messages(page) == ["Put back: “Desk 077”."]
    page.get_by_role("button", name="Undo").click()
    assert read_messages(page) == ["The change of “Front desk” was undone."]
    assert Mailbox.objects.filter(name="Front desk", transcribe=True).exists()
    assert page.console_messages == []


@pytest.mark.long
def test_two_hundred_mailboxes_are_changed_and_undone(page, desks, rosa):
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Account", exact=True).fill("acme")
    page.keyboard.press("Tab")
    page.get_by_text("1–50 of 200").wait_for()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_label("Select Desk 003").check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_label("All 200 that match").check()
    page.get_by_role("button", name="Change settings").click()
    page.wait_for_load_state()  # its scripts run only then
    page.get_by_label("Transcribe").select_option("On")
    page.get_by_text("changes 200 of 200 mailboxes").wait_for()
    assert_accessible(page)
    assert not Mailbox.objects.filter(transcribe=True).exists()
    button = page.get_by_role("button", name="Change 200 mailboxes")
    expect(button).to_be_in_viewport(ratio=1)
    page.get_by_label("Add recipients").press_sequentially("ann@acme")
    page.get_by_text("“ann@acme”: Enter a valid email address.").wait_for()
    expect(page.get_by_role("button", name="Change 0 mailboxes")).to_be_disabled()
    page.get_by_label("Add recipients").fill("")
    button.click()
    assert read_messages(page) == ["Changed: 200 mailboxes."]
    assert Mailbox.objects.filter(transcribe=True).count() == 200
    page.get_by_role("button", name="Undo").click()
    assert read_messages(page) == ["The change of 200 mailboxes was undone."]
    assert not Mailbox.objects.filter(transcribe=True).exists()
    assert page.url.endswith("/?account=acme")
    page.get_by_role("link", name="Changes", exact=True).click()
    assert_accessible(page)


@pytest.mark.long
@pytest.mark.parametrize("scripts", [True, False])
def test_preview_of_a_change_is_in_view_on_a_phone(browser, live_server, desks, scripts):
    size = {"width": 375, "height": 700}
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=scripts, viewport=size
    )
    page = context.new_page()
    sign_in(page, "rosa")
    page.goto("/bulk/change/?all=on&account=acme")
    preview = page.get_by_role("heading", name="What will change")
    page.get_by_label("Transcribe").select_option("On")
    expect(preview).not_to_be_in_viewport()
    page.get_by_role("button", name="Show what will change").click()
    page.get_by_text("changes 200 of 200 mailboxes").wait_for()
    expect(preview).to_be_in_viewport(ratio=1)
    page.get_by_role("link", name="Next").click()
    page.get_by_text("21–40 of 200").wait_for()
    expect(preview).to_be_in_viewport(ratio=1)
    context.close()


@pytest.mark.long
def test_busy_preview_of_a_change_reports_no_errors(page, desks, rosa):
    page.goto("/bulk/change/?all=on")
    held = []
    page.route(
        re.compile("/bulk/change/.*to-"),
        lambda route: route.fallback() if held else held.append(route),
    )
    for label in ("Transcribe", "Beep", "Play caller ID"):
        page.get_by_label(label).select_option("On")
        page.wait_for_timeout(300)  # longer than the delay of the requests
    held[0].continue_()
    page.get_by_text("Play caller ID → on").wait_for()
    assert page.console_messages == []


@pytest.mark.long
def test_filters_are_applied_without_javascript(browser, live_server, acme, sales):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "rosa")
    for address, label, value in (("/", "Transcription", "off"), ("/messages/", "Heard", "no")):
        page.goto(address)
        page.get_by_text("Filter", exact=True).click()
        page.get_by_label(label).select_option(value)
        page.get_by_role("button", name="Apply").click()
        assert f"={value}" in page.url
    context.close()


@pytest.mark.long
def test_mailboxes_are_deleted_and_restored(page, desks, rosa):
    page.get_by_label("Select Desk 000").check()
    page.get_by_label("Select all rows of this page").check()
    expect(page.get_by_text("50 selected")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 50 mailboxes")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Delete 50 mailboxes").click()
    assert Mailbox.objects.active().count() == 160
    page.get_by_role("link", name="Deleted").click()
    page.get_by_label("Select Desk 007").check()
    page.get_by_role("button", name="Restore").click()
    assert_accessible(page)
    page.get_by_role("button", name="Restore 1 mailbox").click()
    assert read_messages(page) == ["Restored: “Desk 007”."]
    assert Mailbox.objects.active().count() == 161


@pytest.mark.long
def test_pass_code_is_shown_copied_checked_and_suggested(page, sales, rosa):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Typed")
    code = page.get_by_label("Pass code")
    assert code.input_value() == "••••"
    page.get_by_role("button", name="Show").click()
    expect(code).to_have_value("7392")
    page.locator("#pass-code").get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "7392"
    code.fill("1234")
    page.get_by_text("This pass code is easy to guess").wait_for()
    assert code.input_value() == "1234"
    assert_accessible(page)
    page.get_by_role("button", name="Suggest a pass code").click()
    expect(code).not_to_have_value("1234")
    assert page.get_by_text("This pass code is easy to guess").count() == 0
    suggested = code.input_value()
    assert page.get_by_label("Name").input_value() == "Typed"
    page.get_by_role("button", name="Save").click()
    sales.refresh_from_db()
    assert (sales.password, sales.name) == (suggested, "Typed")


@pytest.mark.long
def test_recipients_are_added_and_removed_in_place(page, sales, rosa):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Typed")
    page.get_by_label("Email address").fill("ANN@acme.example")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("This mailbox already has that address.").wait_for()
    expect(page.get_by_label("Email address")).to_be_focused()
    assert_accessible(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('bob@acme.example\\nEve <eve@acme.example>\\n')")
    page.get_by_label("Email address").fill("")
    page.get_by_label("Email address").press("Control+V")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("3 / 50").wait_for()
    page.get_by_role("button", name="Remove eve@acme.example").click()
    page.get_by_text("2 / 50").wait_for()
    page.get_by_role("button", name="Remove ann@acme.example").click()
    page.get_by_text("1 / 50").wait_for()
    assert read_messages(page) == ["Removed: ann@acme.example."]
    # The name typed before is still there, and does not conflict with these changes.
    page.get_by_role("button", name="Save").click()
    assert read_messages(page) == ["Saved: “Typed”."]
    assert [recipient.email for recipient in sales.email_recipients.all()] == ["bob@acme.example"]


@pytest.mark.long
def test_added_recipient_does_not_hide_a_concurrent_change(page, sales, rosa):
    page.goto(f"/mailboxes/{sales.pk}/")
    other = Mailbox.objects.get()
    other.name = "Theirs"
    other.save()
    page.get_by_label("Email address").fill("bob@acme.example")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("2 / 50").wait_for()
    page.get_by_label("Beep").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(
        page.get_by_role("heading", name="Somebody else has changed this mailbox")
    ).to_be_visible()
    other.refresh_from_db()
    assert other.name == "Theirs"


@pytest.mark.long
def test_concurrent_change_is_shown_before_saving(page, sales, rosa):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Mine")
    other = Mailbox.objects.get()
    other.name, other.beep = "Theirs", False
    other.save()
    page.get_by_role("button", name="Save").click()
    expect(
        page.get_by_role("heading", name="Somebody else has changed this mailbox")
    ).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Save mine").click()
    other.refresh_from_db()
    assert (other.name, other.beep) == ("Mine", False)


@pytest.mark.long
def test_mailbox_is_created(page, acme, rosa):
    page.get_by_role("link", name="New mailbox").click()
    assert_accessible(page)
    page.get_by_label("Account").fill("nobody")
    page.get_by_label("Name").fill("Sales")
    page.get_by_label("Recipients").fill("ann@acme.example\nbob@acme.example")
    assert page.get_by_role("button", name="Copy").is_enabled()
    page.get_by_role("button", name="Suggest a pass code").click()
    expect(page.get_by_label("Pass code")).to_have_value(re.compile("[0-9]{4}"))
    page.get_by_role("main").get_by_role("button", name="Create").click()
    expect(page.get_by_text("There is no account “nobody”")).to_be_visible()
    expect(page.get_by_label("Account")).to_be_focused()
    assert_accessible(page)
    page.get_by_label("Account").fill("acme")
    page.get_by_role("main").get_by_role("button", name="Create").click()
    assert read_messages(page) == ["Created: “Sales”."]
    assert Mailbox.objects.get().email_recipients.count() == 2


@pytest.mark.long
def test_keyboard_selects_searches_and_opens_mailboxes(page, desks, rosa):
    keys = page.keyboard
    keys.press("j")
    keys.press("j")
    keys.press("x")
    assert page.get_by_label("Select Desk 001").is_checked()
    keys.press("k")
    assert page.evaluate("document.activeElement.textContent").strip() == "Desk 000"
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert_accessible(page)
    keys.press("Escape")
    keys.press("/")
    keys.type("desk 04")
    expect(page.locator("tr[data-row]")).to_have_count(13)
    assert page.evaluate("document.activeElement.id") == "id_q"
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    keys.press("Escape")
    keys.press("j")
    assert requests == []  # a second search would take the focus away
    keys.press("Enter")
    page.get_by_role("heading", name="Desk 004").wait_for()
    keys.press("/")
    page.get_by_role("heading", name="Mailboxes").wait_for()
    expect(page.get_by_label("Search the mailboxes")).to_be_focused()


@pytest.mark.long
def test_times_are_in_the_time_zone_of_the_browser(browser, live_server, sales):
    context = browser.new_context(
        base_url=live_server.url, timezone_id="Asia/Tokyo", locale="en-GB"
    )
    page = context.new_page()
    Mailbox.objects.update(created_at="2023-06-02T22:30:15Z")
    sign_in(page, "rosa")
    page.goto(f"/mailboxes/{sales.pk}/")
    created = page.locator("dt", has_text="Created").locator("+ dd time")
    assert created.inner_text() == "3 Jun 2023, 07:30"
    assert "07:30:15" in created.get_attribute("title")
    context.close()


@pytest.mark.long
def test_pages_of_a_viewer_are_accessible(page, sales):
    sign_in(page, "vera", "Viewer")
    assert page.get_by_role("link", name="New mailbox").count() == 0
    assert_accessible(page)
    page.get_by_role("link", name="Sales").click()
    assert_accessible(page)


@pytest.mark.long
def test_deleted_mailbox_and_invalid_filter_are_accessible(page, sales, rosa):
    sales.soft_delete()
    page.goto(f"/mailboxes/{sales.pk}/")
    assert_accessible(page)
    page.goto("/?account=nobody&pass_code=weak")
    expect(page.get_by_text("Account: There is no account “nobody”")).to_be_visible()
    assert_accessible(page)


@pytest.mark.long
def test_console_works_without_javascript(browser, live_server, acme, sales):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "rosa")
    page.get_by_label("Search the mailboxes").fill("ann@")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Select Sales").check()
    page.get_by_role("button", name="Change settings").click()
    page.get_by_label("Transcribe").select_option("On")
    page.get_by_role("button", name="Show what will change").click()
    page.get_by_role("button", name="Change 1 mailbox").click()
    page.get_by_role("link", name="Sales").click()
    page.get_by_label("Name").fill("Typed")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_label("Pass code").input_value() == "7392"
    assert page.get_by_label("Name").input_value() == "Typed"
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Email address").fill("bob@acme.example")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Remove ann@acme.example").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    sales = Mailbox.objects.get()
    assert (sales.name, sales.transcribe, sales.is_deleted) == ("Typed", True, False)
    assert [recipient.email for recipient in sales.email_recipients.all()] == ["bob@acme.example"]
    context.close()
