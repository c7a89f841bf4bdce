"""Pages that stay up to date, in a real browser: messages come in, and change elsewhere."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox, Message
from mailboxes.models.transcriptions import Segment
from tests.browser.conftest import assert_accessible, sign_in
from tests.databases import headers_for
from tests.messages import leave_message
from tests.recordings import make_wav

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

SOON = 15_000  # milliseconds: a few times as long as live.js waits
SEGMENTS = [Segment(0.0, 1.0, "Please call me back.")]
FOCUS = "(document.activeElement.closest('tr') ?? document.activeElement).id"


@pytest.fixture
def mailbox(db, settings):
    settings.TRANSCRIBER = "whisper"
    account = Account.objects.create(name="acme")
    return Mailbox.objects.create(account=account, name="Sales", transcribe=True)


@pytest.fixture
def hand_in(page, mailbox, live_server):
    """Return a function that leaves a caller's message by the API, and returns it."""
    headers = headers_for(mailbox.account)

    def hand_in(caller):
        recording = {"name": "m.wav", "mimeType": "audio/wav", "buffer": make_wav()}
        address = f"{live_server.url}/voip/mailbox/{mailbox.pk}/messages"
        form = {"recording": recording, "caller_id_name": caller}
        answer = page.request.post(address, headers=headers, multipart=form)
        assert answer.status == 201, answer.text()
        return Message.objects.get(caller_id_name=caller)

    return hand_in


@pytest.fixture
def news(page):
    return page.locator("#news")


def get_address(message):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/"


def open_page(page, address, group="Manager"):
    """Open the page, and set a mark in it, which a reload would remove."""
    if page.url == "about:blank":
        sign_in(page, group.lower(), group)
    page.goto(address)
    page.evaluate("window.isMarked = true")


def look_now(page):
    """Update the page at once, as when its tab comes to the front."""
    with page.expect_response(lambda answer: "if-none-match" in answer.request.headers) as answer:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert answer.value.status in (200, 304)
    page.wait_for_timeout(100)


def expect_rows(page, *names, timeout=5_000):
    rows = page.locator("tr[data-row] .name a")
    expect(rows).to_have_text([f"Unheard: {name}" for name in names], timeout=timeout)


def assert_not_reloaded(page):
    assert page.evaluate("window.isMarked")
    assert page.console_messages == []


@pytest.mark.parametrize("place", ["mailbox", "messages"])
def test_message_of_the_api_and_its_transcription_appear(page, mailbox, hand_in, news, place):
    open_page(page, "/messages/" if place == "messages" else f"/mailboxes/{mailbox.pk}/")
    expect(page.get_by_text("No messages").first).to_be_visible()
    ann = hand_in("Ann")
    expect_rows(page, "Ann", timeout=SOON)
    expect(news).to_have_text("1 new message")
    row = page.get_by_role("row").filter(has_text="Ann")
    expect(row).to_contain_text("Pending")
    Message.finish_transcription(ann.pk, "done", SEGMENTS)
    expect(row).to_contain_text("Please call me back.", timeout=SOON)
    expect(news).to_have_text("")
    assert "UTC" not in row.locator("time").text_content()  # it is in the reader's time zone
    assert_not_reloaded(page)
    assert_accessible(page)
    hand_in("Bob")
    hand_in("Eve")
    expect_rows(page, "Eve", "Bob", "Ann", timeout=SOON)
    expect(news).to_have_text("2 new messages")
    Message.objects.get(caller_id_name="Bob").soft_delete()
    expect_rows(page, "Eve", "Ann", timeout=SOON)
    assert_not_reloaded(page)
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Ann")).to_be_visible()
    assert page.console_messages == []


def test_counts_of_a_mailbox_follow_its_messages(page, mailbox, hand_in):
    hand_in("Ann")
    open_page(page, f"/mailboxes/{mailbox.pk}/")
    hand_in("Bob").soft_delete()
    hand_in("Eve")
    look_now(page)
    for text in ("2 unheard", "Search all 2", "1 deleted"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()
    for message in Message.objects.active():
        message.mark_heard(True)
    look_now(page)
    expect(page.locator("#unheard")).to_be_hidden()
    expect(page.locator("tr.heard")).to_have_count(2)
    assert_not_reloaded(page)


def test_count_and_pages_of_the_table_follow_its_messages(page, mailbox, hand_in, news):
    for number in range(50):
        leave_message(mailbox, f"Caller {number}", hours_ago=number + 1)
    open_page(page, "/messages/")
    expect(page.get_by_text("50 in total")).to_be_visible()
    hand_in("Ann")
    look_now(page)
    expect(page.get_by_text("51 in total · page 1 of 2")).to_be_visible()
    expect(page.locator("#pages")).to_contain_text("1–50 of 51")
    expect(page.locator("tr[data-row]")).to_have_count(50)
    expect(news).to_have_text("1 new message")
    page.get_by_role("link", name="Next").click()
    expect_rows(page, "Caller 49")
    hand_in("Bob")
    look_now(page)
    expect_rows(page, "Caller 48", "Caller 49")
    expect(news).to_have_text("")
    assert page.console_messages == []


def test_update_keeps_selected_rows_place_and_focus(page, mailbox, hand_in, news):
    for number in range(40):
        leave_message(mailbox, f"Caller {number}", hours_ago=number + 1)
    open_page(page, "/messages/")
    page.get_by_label("Select the message of Caller 21").check()
    page.get_by_label("Select the message of Caller 22").check()
    link = page.get_by_role("link", name="Caller 20", exact=False)
    link.focus()
    link.evaluate("link => link.scrollIntoView({block: 'center'})")
    page.get_by_text("Filter", exact=True).evaluate("summary => summary.parentElement.open = true")
    before, focused = link.bounding_box(), page.evaluate(FOCUS)
    assert focused
    hand_in("Ann")
    Message.objects.get(caller_id_name="Caller 22").mark_heard(True)
    Message.objects.get(caller_id_name="Caller 20").mark_heard(True)
    look_now(page)
    expect(news).to_have_text("1 new message")
    expect(page.locator("tr[data-row]")).to_have_count(41)
    expect(page.locator("tr.heard")).to_have_count(2)
    assert page.evaluate(FOCUS) == focused
    assert link.bounding_box()["y"] == pytest.approx(before["y"], abs=3)
    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(page.locator("[name=uuid]:checked")).to_have_count(2)
    assert page.locator(".filters").evaluate("filters => filters.open")
    assert_not_reloaded(page)
    Message.objects.get(caller_id_name="Caller 21").soft_delete()
    Message.objects.get(caller_id_name="Caller 20").soft_delete()
    look_now(page)
    expect(page.get_by_text("1 selected")).to_be_visible()
    assert page.evaluate(FOCUS) == f"message-{Message.objects.get(caller_id_name='Caller 22').pk}"


def test_focused_row_of_a_mailbox_keeps_the_focus_where_it_moves(page, mailbox, hand_in):
    messages = [hand_in(name) for name in ("Ann", "Bob", "Eve")]
    open_page(page, f"/mailboxes/{mailbox.pk}/")
    page.get_by_label("Name").fill("Front desk")
    page.get_by_role("link", name="Eve").focus()
    messages[2].mark_heard(True)
    look_now(page)
    names = page.locator("tr[data-row] .name a")
    expect(names).to_have_text(["Unheard: Bob", "Unheard: Ann", "Eve"])
    assert page.evaluate(FOCUS) == f"message-{messages[2].pk}"
    assert page.get_by_label("Name").input_value() == "Front desk"
    assert_not_reloaded(page)


def test_all_that_match_stay_those_that_were_counted(page, mailbox, hand_in):
    hand_in("Ann")
    open_page(page, "/messages/")
    page.get_by_label("Select the message of Ann").check()
    page.get_by_label("All 1 that match").check()
    hand_in("Bob")
    page.wait_for_timeout(6_000)
    expect_rows(page, "Ann")
    page.get_by_label("All 1 that match").uncheck()
    look_now(page)
    expect_rows(page, "Bob", "Ann")
    expect(page.get_by_label("Select the message of Ann")).to_be_checked()


def test_transcription_appears_while_the_recording_is_played(page, mailbox, news):
    message = leave_message(mailbox, "Ann", seconds=6)
    open_page(page, get_address(message))
    expect(page.get_by_text("The message is being transcribed.")).to_be_visible()
    main = page.get_by_role("main")
    main.get_by_role("button", name="Play", exact=True).click()
    page.get_by_role("slider", name="Position").focus()
    Message.finish_transcription(message.pk, "done", SEGMENTS)
    look_now(page)
    expect(page.get_by_role("link", name="Please call me back.")).to_be_visible()
    expect(news).to_have_text("Transcription: Done")
    assert not page.locator("audio").evaluate("audio => audio.paused")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
    expect(page.get_by_text("by manager")).to_be_visible()  # it still turns heard
    assert_not_reloaded(page)
    assert_accessible(page)


@pytest.mark.parametrize(
    ("status", "text"),
    [("no_speech", "The message has no speech."), ("failed", "could not be transcribed.")],
)
def test_outcome_of_a_transcription_without_text_appears(page, mailbox, hand_in, status, text):
    message = hand_in("Ann")
    open_page(page, get_address(message))
    Message.finish_transcription(message.pk, status)
    expect(page.get_by_text(text)).to_be_visible(timeout=SOON)
    assert_not_reloaded(page)


def test_page_of_a_message_shows_what_is_done_elsewhere(page, mailbox, hand_in, news):
    message = hand_in("Ann")
    Message.finish_transcription(message.pk, "no_speech")
    open_page(page, get_address(message))
    page.get_by_role("main").get_by_role("button", name="Delete").focus()
    hand_in("Bob")
    look_now(page)
    expect(page.get_by_role("link", name="Newer message")).to_be_visible()
    assert page.evaluate(FOCUS) == "delete"
    message.refresh_from_db()
    message.mark_heard(True)
    look_now(page)
    expect(page.get_by_text("not by staff")).to_be_visible()
    message.soft_delete()
    look_now(page)
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    expect(news).to_have_text("")
    assert_not_reloaded(page)


def test_support_sees_no_transcription(page, mailbox, hand_in):
    message = hand_in("Ann")
    for address in ("/messages/", f"/mailboxes/{mailbox.pk}/", get_address(message)):
        open_page(page, address, "Support")
        Message.objects.update(transcription_status="pending")
        assert Message.finish_transcription(message.pk, "done", SEGMENTS)
        look_now(page)
        assert "call me back" not in page.content()
        assert "Transcription" not in page.content()
        assert_not_reloaded(page)


def test_ended_session_is_announced_and_nothing_typed_is_lost(page, mailbox, hand_in):
    open_page(page, f"/mailboxes/{mailbox.pk}/")
    page.get_by_label("Name").fill("Front desk")
    Session.objects.all().delete()
    hand_in("Ann")
    notice = page.get_by_role("alert").filter(has_text="You have been signed out")
    expect(notice).to_be_visible(timeout=SOON)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(6_000)
    assert requests == []
    assert page.get_by_label("Name").input_value() == "Front desk"
    assert_not_reloaded(page)
    assert_accessible(page)
    page.once("dialog", lambda dialog: dialog.accept())  # about the unsaved changes
    page.get_by_role("link", name="Sign in again").click()
    expect(page).to_have_url(
        f"{page.url.partition('/sign-in/')[0]}/sign-in/?next=/mailboxes/{mailbox.pk}/"
    )


def test_page_is_updated_again_after_a_sign_in_in_another_tab(page, mailbox, hand_in):
    open_page(page, "/messages/")
    Session.objects.all().delete()
    notice = page.get_by_role("alert").filter(has_text="You have been signed out")
    expect(notice).to_be_visible(timeout=SOON)
    sign_in(page.context.new_page(), "maria", "Viewer")
    hand_in("Ann")
    look_now(page)
    expect_rows(page, "Ann")
    expect(notice).to_be_hidden()
    assert_not_reloaded(page)


def test_late_update_of_a_message_does_not_undo_a_mark(page, mailbox, hand_in):
    message = hand_in("Ann")
    open_page(page, get_address(message))
    held = []
    page.route(f"**{get_address(message)}", lambda route: held.append((route, route.fetch())))
    hand_in("Bob")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    ((route, answer),) = held
    page.get_by_role("button", name="Mark as heard").click()
    expect(page.get_by_text("by manager")).to_be_visible()
    route.fulfill(response=answer)
    page.unroute(f"**{get_address(message)}")
    page.wait_for_timeout(300)
    expect(page.get_by_text("by manager")).to_be_visible()
    look_now(page)
    expect(page.get_by_role("link", name="Newer message")).to_be_visible()
    assert_not_reloaded(page)


def test_hidden_page_requests_nothing_until_it_is_seen(page, mailbox, hand_in):
    open_page(page, "/messages/")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
    page.wait_for_timeout(5_500)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    hand_in("Ann")
    page.wait_for_timeout(6_000)
    assert requests == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false})")
    look_now(page)
    expect_rows(page, "Ann")


def test_search_during_an_update_replaces_the_update(page, mailbox, hand_in):
    for name in ("Ann", "Bob"):
        hand_in(name)
    open_page(page, "/messages/")
    held = []
    page.route("**/messages/", lambda route: held.append(route))
    hand_in("Eve")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_label("Search the messages").fill("bob")
    expect_rows(page, "Bob")
    assert len(held) == 1
    held[0].continue_()
    page.wait_for_timeout(500)
    expect_rows(page, "Bob")
    page.unroute("**/messages/")
    page.get_by_label("Search the messages").fill("")
    expect_rows(page, "Eve", "Bob", "Ann")
    hand_in("Zoe")
    look_now(page)
    expect_rows(page, "Zoe", "Eve", "Bob", "Ann")
    assert_not_reloaded(page)
