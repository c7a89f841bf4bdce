"""Mailboxes in a real browser: found, changed, undone, one and many, by pointer and by keyboard."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from mailboxes import batches
from mailboxes.models import Account, Batch, EmailRecipient, Mailbox
from tests.browser.conftest import assert_good, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(db):
    return Account.objects.create(name="acme")


@pytest.fixture
def desks(acme):
    """Two hundred and ten mailboxes of two accounts, each with an address."""
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


def names(page):
    return page.locator("tr[data-row] .name").all_inner_texts()


def done(page):
    """What the page says was done."""
    page.wait_for_load_state()
    return page.locator(".messages span").all_inner_texts()


def wide(page):
    page.set_viewport_size({"width": 1280, "height": 800})


def test_find_by_address_change_see_the_history_undo(page, desks, rosa):
    page.get_by_label("Search the mailboxes").fill("desk77@acme.example")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    assert page.url.endswith("?q=desk77%40acme.example")
    page.get_by_role("link", name="Desk 077").click()
    page.get_by_label("Name").fill("Front desk")
    page.get_by_label("Transcribe").check()
    page.get_by_role("button", name="Save").click()
    assert done(page) == ["Saved: “Front desk”."]
    assert_good(page)
    wide(page)
    page.get_by_role("link", name="History").click()
    assert "Name Desk 077 → Front desk" in " ".join(page.get_by_role("main").inner_text().split())
    assert_good(page)
    wide(page)
    page.get_by_role("button", name="Restore this state").first.click()
    assert done(page) == ["Put back: “Desk 077”."]
    page.get_by_role("button", name="Undo").click()
    assert done(page) == ["Undone: “Front desk”."]
    assert Mailbox.objects.filter(name="Front desk", transcribe=True).exists()
    assert page.complaints == []


@pytest.mark.long
def test_change_two_hundred_and_undo(page, desks, rosa):
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Account", exact=True).fill("acme")
    page.keyboard.press("Tab")
    page.get_by_text("1–50 of 200").wait_for()
    assert_good(page)
    wide(page)
    page.keyboard.press("Escape")
    page.get_by_label("Select Desk 003").check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_label("All 200 that match").check()
    page.get_by_role("button", name="Change settings").click()
    page.wait_for_load_state()  # its scripts hear nothing before
    page.get_by_label("Transcribe").select_option("On")
    page.get_by_text("changes 200 mailboxes").wait_for()
    assert_good(page)
    wide(page)
    assert not Mailbox.objects.filter(transcribe=True).exists()
    page.get_by_role("button", name="Make these changes").click()
    assert done(page) == ["Changed: 200 mailboxes."]
    assert Mailbox.objects.filter(transcribe=True).count() == 200
    page.get_by_role("button", name="Undo").click()
    assert done(page) == ["Undone: 200 mailboxes."]
    assert not Mailbox.objects.filter(transcribe=True).exists()
    assert page.url.endswith("/?account=acme")
    page.get_by_role("link", name="Changes", exact=True).click()
    assert_good(page)


def test_delete_and_restore(page, desks, rosa):
    page.get_by_label("Select Desk 000").check()
    page.get_by_label("Select all rows of this page").check()
    expect(page.get_by_text("50 selected")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 50 mailboxes")).to_be_visible()
    assert_good(page)
    wide(page)
    page.get_by_role("button", name="Delete 50 mailboxes").click()
    assert Mailbox.objects.active().count() == 160
    page.get_by_role("link", name="Deleted").click()
    page.get_by_label("Select Desk 007").check()
    page.get_by_role("button", name="Restore").click()
    assert_good(page)
    wide(page)
    page.get_by_role("button", name="Restore 1 mailbox").click()
    assert done(page) == ["Restored: “Desk 007”."]
    assert Mailbox.objects.active().count() == 161


def test_pass_code_is_shown_copied_made_and_judged(page, sales, rosa):
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
    assert_good(page)
    wide(page)
    page.get_by_role("button", name="Suggest a pass code").click()
    expect(code).not_to_have_value("1234")
    assert page.get_by_text("This pass code is easy to guess").count() == 0
    made = code.input_value()
    assert page.get_by_label("Name").input_value() == "Typed"
    page.get_by_role("button", name="Save").click()
    sales.refresh_from_db()
    assert (sales.password, sales.name) == (made, "Typed")


def test_recipients_come_and_go_in_place(page, sales, rosa):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Typed")
    page.get_by_label("Email address").fill("ANN@acme.example")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("This mailbox already has that address.").wait_for()
    expect(page.get_by_label("Email address")).to_be_focused()
    assert_good(page)
    wide(page)
    page.get_by_label("Email address").fill("bob@acme.example")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("2 / 50").wait_for()
    page.get_by_role("button", name="Remove ann@acme.example").click()
    page.get_by_text("1 / 50").wait_for()
    assert done(page) == ["Removed: ann@acme.example."]
    # What was typed beside is still there, and is no conflict with what was done.
    page.get_by_role("button", name="Save").click()
    assert done(page) == ["Saved: “Typed”."]
    assert [one.email for one in sales.email_recipients.all()] == ["bob@acme.example"]


def test_a_recipient_added_hides_nobody_elses_change(page, sales, rosa):
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


def test_two_people_at_once(page, sales, rosa):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Mine")
    other = Mailbox.objects.get()
    other.name, other.beep = "Theirs", False
    other.save()
    page.get_by_role("button", name="Save").click()
    expect(
        page.get_by_role("heading", name="Somebody else has changed this mailbox")
    ).to_be_visible()
    assert_good(page)
    wide(page)
    page.get_by_role("button", name="Save mine").click()
    other.refresh_from_db()
    assert (other.name, other.beep) == ("Mine", False)


def test_a_new_one(page, acme, rosa):
    page.get_by_role("link", name="New mailbox").click()
    assert_good(page)
    wide(page)
    page.get_by_label("Account").fill("nobody")
    page.get_by_label("Name").fill("Sales")
    page.get_by_label("Recipients").fill("ann@acme.example\nbob@acme.example")
    assert page.get_by_role("button", name="Copy").is_enabled()
    page.get_by_role("button", name="Suggest a pass code").click()
    expect(page.get_by_label("Pass code")).to_have_value(re.compile("[0-9]{4}"))
    page.get_by_role("main").get_by_role("button", name="Create").click()
    expect(page.get_by_text("There is no account “nobody”")).to_be_visible()
    expect(page.get_by_label("Account")).to_be_focused()
    assert_good(page)
    wide(page)
    page.get_by_label("Account").fill("acme")
    page.get_by_role("main").get_by_role("button", name="Create").click()
    assert done(page) == ["Created: “Sales”."]
    assert Mailbox.objects.get().email_recipients.count() == 2


def test_by_keyboard(page, desks, rosa):
    keys = page.keyboard
    keys.press("j")
    keys.press("j")
    keys.press("x")
    assert page.get_by_label("Select Desk 001").is_checked()
    keys.press("k")
    assert page.evaluate("document.activeElement.textContent").strip() == "Desk 000"
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert_good(page)
    wide(page)
    keys.press("Escape")
    keys.press("/")
    keys.type("desk 04")
    expect(page.locator("tr[data-row]")).to_have_count(10)
    assert page.evaluate("document.activeElement.id") == "id_q"
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    keys.press("Escape")
    keys.press("j")
    assert asked == []  # it is not to search again, which would take the focus away
    keys.press("Enter")
    page.get_by_role("heading", name="Desk 040").wait_for()
    keys.press("/")
    page.get_by_role("heading", name="Mailboxes").wait_for()
    expect(page.get_by_label("Search the mailboxes")).to_be_focused()


def test_times_are_the_readers_own(browser, live_server, sales):
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


def test_viewer_looks(page, sales):
    sign_in(page, "vera", "Viewer")
    assert page.get_by_role("link", name="New mailbox").count() == 0
    assert_good(page)
    wide(page)
    page.get_by_role("link", name="Sales").click()
    assert_good(page)


def test_deleted_one_and_a_wrong_address(page, sales, rosa):
    sales.soft_delete()
    page.goto(f"/mailboxes/{sales.pk}/")
    assert_good(page)
    page.goto("/?account=nobody&pass_code=weak")
    expect(page.get_by_text("Account: There is no account “nobody”")).to_be_visible()
    assert_good(page)


def test_all_of_it_without_javascript(browser, live_server, acme, sales):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "rosa")
    page.get_by_label("Search the mailboxes").fill("ann@")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Select Sales").check()
    page.get_by_role("button", name="Change settings").click()
    page.get_by_label("Transcribe").select_option("On")
    page.get_by_role("button", name="Show what will change").click()
    page.get_by_role("button", name="Make these changes").click()
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
    assert [one.email for one in sales.email_recipients.all()] == ["bob@acme.example"]
    context.close()
