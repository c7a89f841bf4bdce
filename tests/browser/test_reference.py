"""The API reference and its page to try calls, in a real browser."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox
from tests.browser.conftest import assert_accessible
from tests.conftest import headers_for
from tests.recordings import make_wav

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def docs(page):
    page.goto("/docs/")
    return page


def list_commands(page):
    """Return the titles of the visible commands."""
    return page.locator(".command:visible h3").all_inner_texts()


def test_filter_narrows_commands_and_contents(docs):
    docs.keyboard.press("/")
    docs.keyboard.type("put transcribe")
    assert list_commands(docs) == ["Updates the specified mailbox"]
    assert docs.locator(".contents li li:visible").count() == 1
    assert docs.locator(".filter [role=status]").inner_text() == "1 command matches"
    assert_accessible(docs)


def test_filter_finds_by_summary_path_and_field(docs):
    filter_box = docs.get_by_label("Filter:")
    for text, expected in {
        "credentials are good": ["Says whether credentials are good"],
        "/restore": [
            "Restores a deleted mailbox",
            "Restores a deleted message",
            "Restores a deleted sound",
        ],
        "EMAIL post": ["Adds an email recipient to a mailbox"],
    }.items():
        filter_box.fill(text)
        assert list_commands(docs) == expected


def test_escape_clears_the_filter(docs):
    all_commands = list_commands(docs)
    filter_box = docs.get_by_label("Filter:")
    filter_box.fill("fax")
    assert list_commands(docs) == []
    assert docs.locator(".filter [role=status]").inner_text() == "No command matches"
    filter_box.press("Escape")
    assert list_commands(docs) == all_commands
    expect(docs.get_by_role("heading", name="Credentials", exact=True)).to_be_visible()
    assert docs.locator(".filter [role=status]").inner_text() == ""


def test_samples_change_language_together_by_keyboard(docs):
    assert docs.locator("[data-language=python]:visible").count() == 0
    docs.get_by_label("curl").first.focus()
    docs.keyboard.press("ArrowRight")
    count = len(list_commands(docs))
    assert docs.locator("[data-language=python]:visible").count() == count
    assert docs.locator("[data-language]:visible").count() == count


def test_sample_is_copied(docs):
    docs.context.grant_permissions(["clipboard-read", "clipboard-write"])
    docs.get_by_role("button", name="Copy").first.click()
    docs.get_by_role("button", name="Copied").wait_for()
    copied = docs.evaluate("navigator.clipboard.readText()")
    shown = docs.locator("[data-receiver]:visible, [data-language]:visible").first
    assert copied == shown.text_content()


def test_page_works_without_javascript(browser, live_server):
    page = browser.new_context(base_url=live_server.url, java_script_enabled=False).new_page()
    page.goto("/docs/")
    expect(page.get_by_label("Filter:")).to_be_hidden()
    assert page.get_by_role("button", name="Copy").count() == 0
    page.locator(".command").get_by_text("PHP").first.click()
    assert page.locator("[data-language=php]:visible").count() == 1
    page.context.close()


def open_command(page, summary):
    page.locator("summary", has_text=summary).click()
    return page.locator("details", has_text=summary)


def test_calls_are_sent_with_the_credential(page):
    account = Account.objects.create(name="acme")
    page.goto("/docs/try/")
    for name, value in headers_for(account).items():
        page.get_by_label(name, exact=True).fill(value)
    expect(page.get_by_label("X-Auth-Password")).to_have_attribute("type", "password")

    create = open_command(page, "Creates a new Mailbox")
    create.get_by_role("button", name="Send").click()
    expect(create.get_by_role("status")).to_have_text("201 Created")
    expect(create.get_by_role("group", name="Answer")).to_contain_text('"beep": true')

    mailbox = Mailbox.objects.get(account=account)
    delete = open_command(page, "Deletes the specified mailbox")
    delete.get_by_label("uuid").fill(str(mailbox.pk))
    delete.get_by_label("If-Match").fill('"1"')
    delete.get_by_role("button", name="Send").click()
    expect(delete.get_by_role("status")).to_have_text("204 No Content")

    find = open_command(page, "Gets all active mailboxes")
    find.get_by_label("limit").fill("0")
    find.get_by_role("button", name="Send").click()
    expect(find.get_by_role("status")).to_have_text("400 Bad Request")
    find.get_by_label("limit").fill("")
    find.get_by_label("deleted").select_option("true")
    find.get_by_label("order").select_option("-updated")
    find.get_by_role("button", name="Send").click()
    expect(find.get_by_role("status")).to_have_text("200 OK")
    expect(find.get_by_role("group", name="Answer")).to_contain_text(str(mailbox.pk))
    find.get_by_label("deleted").select_option("not sent")
    find.get_by_role("button", name="Send").click()
    expect(find.get_by_role("group", name="Answer")).not_to_contain_text(str(mailbox.pk))
    assert page.url.endswith("/docs/try/")


def test_key_of_the_filter_is_named_in_wide_windows_only(docs):
    color = "box => getComputedStyle(box, '::placeholder').color"
    hidden = "rgba(0, 0, 0, 0)"
    assert docs.get_by_label("Filter:").evaluate(color) != hidden
    docs.set_viewport_size({"width": 375, "height": 800})
    assert docs.get_by_label("Filter:").evaluate(color) == hidden


def test_recording_is_uploaded_and_saved(page):
    account = Account.objects.create(name="acme")
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    page.goto("/docs/try/")
    for name, value in headers_for(account).items():
        page.get_by_label(name, exact=True).fill(value)

    add = open_command(page, "Adds a message to a mailbox")
    add.get_by_label("mailbox_uuid").fill(str(mailbox.pk))
    file = {"name": "message.wav", "mimeType": "audio/wav", "buffer": make_wav()}
    add.get_by_label("recording").set_input_files(file)
    add.get_by_label("caller_id_name").fill("Ann")
    add.get_by_role("button", name="Send").click()
    expect(add.get_by_role("status")).to_have_text("201 Created")
    expect(add.get_by_role("group", name="Answer")).to_contain_text('"caller_id_name": "Ann"')

    get = open_command(page, "Gets the recording of a message")
    expect(get.get_by_role("link")).to_be_hidden()
    get.get_by_label("mailbox_uuid").fill(str(mailbox.pk))
    get.get_by_label("uuid", exact=True).fill(str(mailbox.messages.get().pk))
    get.get_by_role("button", name="Send").click()
    expect(get.get_by_role("status")).to_have_text("200 OK")
    with page.expect_download() as download:
        get.get_by_role("link", name="Save the recording").click()
    assert download.value.path().read_bytes() == make_wav()


def test_try_page_is_accessible(page):
    page.goto("/docs/try/")
    page.locator("details").evaluate_all("commands => commands.forEach(each => each.open = true)")
    page.locator("pre").evaluate_all("answers => answers.forEach(each => each.hidden = false)")
    assert_accessible(page)


def test_try_page_lists_every_call_of_the_reference(docs):
    all_commands = set(list_commands(docs))
    docs.goto("/docs/try/")
    summaries = docs.locator("summary").all_inner_texts()
    assert len(summaries) == len(all_commands)
    assert all(any(summary.endswith(each) for each in all_commands) for summary in summaries)
    assert docs.console_messages == []
