"""A message is heard, sought in and marked in a real browser."""

import math

import pytest
from django.contrib.admin.models import LogEntry
from playwright.sync_api import expect

from mailboxes.audio.recordings import Recording
from mailboxes.models import Account, Mailbox, Message
from mailboxes.models.transcriptions import Segment
from tests.browser.conftest import assert_accessible, sign_in
from tests.messages import leave_message
from tests.recordings import LOUDNESS, make_samples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

SAID = "Please call me back about the boiler.\n\nBye."
POSITION = "audio => audio.currentTime"
# Return the length of the recording in seconds, and its level (RMS), from 0 to 1, as it is decoded.
DECODE = """
    async (address) => {
        const answer = await fetch(address);
        const context = new OfflineAudioContext(1, 1, 8000);
        const audio = await context.decodeAudioData(await answer.arrayBuffer());
        const samples = audio.getChannelData(0);
        const sum = samples.reduce((sum, sample) => sum + sample ** 2, 0);
        return [audio.duration, Math.sqrt(sum / samples.length)];
    }
"""


@pytest.fixture
def mailbox(db):
    return Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")


@pytest.fixture
def message(mailbox):
    return leave_message(mailbox, "Ann Smith", text=SAID, seconds=6)


@pytest.fixture
def long_message(mailbox):
    """Return a message of ten minutes, more than a browser loads in advance."""
    samples = make_samples(1.0) * 600
    return Message.receive(mailbox, Recording(8_000, samples.tobytes()))[0]


@pytest.fixture
def answers(page):
    """Return the answers to requests for recordings: the status and the requested range."""
    answers = []

    def add(response):
        if "/recording/" in response.url:
            answers.append((response.status, response.request.headers.get("range")))

    page.on("response", add)
    return answers


def open_message(page, message, group="Manager"):
    sign_in(page, group.lower(), group)
    page.goto(get_address(message))


def get_address(message, part=""):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/{part}"


def press(page, name):
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def test_message_is_heard_and_turns_heard(page, message, answers):
    open_message(page, message)
    expect(page.get_by_text("not yet")).to_be_visible()
    assert answers == []
    audio, position = page.locator("audio"), page.get_by_role("slider", name="Position")
    expect(audio).not_to_have_attribute("controls", "")
    press(page, "Play")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(position).to_have_attribute("aria-valuetext", "0:01 of 0:06")
    assert not Message.objects.get().is_heard  # less than two seconds
    expect(page.get_by_text("by manager")).to_be_visible()
    expect(page.locator("h1 .badge")).to_have_count(0)
    assert Message.objects.get().heard_by.username == "manager"
    assert not audio.evaluate("audio => audio.paused")
    assert page.locator("#messages li").count() == 0
    press(page, "Mark as unheard")
    expect(page.get_by_text("not yet")).to_be_visible()
    expect(page.get_by_role("button", name="Mark as heard")).to_be_focused()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible(timeout=10_000)
    expect(position).to_have_attribute("aria-valuetext", "0:06 of 0:06")
    assert not Message.objects.get().is_heard
    assert {status for status, _range in answers} == {206}
    entries = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert [entry.partition(":")[0] for entry in entries] == ["Message read", "Message heard"]
    assert page.console_messages == []


def test_click_and_keys_seek_in_a_long_recording(page, long_message, answers):
    open_message(page, long_message)
    audio, position = page.locator("audio"), page.get_by_role("slider", name="Position")
    press(page, "Play")
    expect(position).to_have_attribute("aria-valuetext", "0:01 of 10:00")
    box = position.bounding_box()
    position.click(position={"x": box["width"] * 0.75, "y": 10})
    expect(position).to_have_attribute("aria-valuetext", "7:31 of 10:00")
    assert audio.evaluate(POSITION) == pytest.approx(451, abs=3)
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) for _status, wanted in answers]
    assert {status for status, _range in answers} == {206}
    assert starts[0] == 0
    assert starts[-1] > 600 * 16_000 / 2  # only the end was loaded
    press(page, "Pause")
    before = audio.evaluate(POSITION)
    position.focus()
    for key, step in (("ArrowRight", 5), ("ArrowUp", 5), ("ArrowLeft", -5), ("ArrowDown", -5)):
        position.press(key)
        assert audio.evaluate(POSITION) == pytest.approx(before + step)
        before += step
    position.press("Home")
    assert audio.evaluate(POSITION) == 0
    position.press("End")
    expect(position).to_have_attribute("aria-valuenow", "600")
    position.press("Home")
    position.press("Space")
    expect(position).to_have_attribute("aria-valuetext", "0:01 of 10:00")


def test_keys_play_mark_delete_and_lead_to_other_messages(page, mailbox, message):
    leave_message(mailbox, "Zoe")
    open_message(page, message)
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="Zoe")).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Ann Smith")).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Mark as unheard")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_role("button", name="1.5×").press("Enter")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.keyboard.press("#")
    expect(page.get_by_text("1 message was deleted.")).to_be_visible()
    press(page, "Undo")
    expect(page.get_by_text("1 message was restored.")).to_be_visible()
    assert page.url.endswith(f"/mailboxes/{mailbox.pk}/")
    assert page.console_messages == []


def test_seeking_alone_is_not_hearing(page, message, answers):
    open_message(page, message)
    position = page.get_by_role("slider", name="Position")
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuetext", "0:01 of 0:06")
    position.press("End")
    expect(position).to_have_attribute("aria-valuetext", "0:06 of 0:06")
    page.wait_for_timeout(500)
    assert (answers, Message.objects.get().is_heard) == ([], False)


def test_speed_is_chosen_before_and_while_the_recording_is_played(page, message):
    open_message(page, message)
    audio = page.locator("audio")
    press(page, "1.5×")
    press(page, "Play")
    expect(page.get_by_role("button", name="1.5×")).to_have_attribute("aria-pressed", "true")
    assert audio.evaluate("audio => audio.playbackRate") == 1.5
    press(page, "2×")
    assert audio.evaluate("audio => audio.playbackRate") == 2
    expect(page.get_by_role("button", name="1.5×")).to_have_attribute("aria-pressed", "false")
    press(page, "1×")
    assert audio.evaluate("audio => audio.playbackRate") == 1


def test_short_message_is_heard_before_two_seconds(page, mailbox):
    message = leave_message(mailbox, seconds=1)
    open_message(page, message)
    press(page, "Play")
    expect(page.get_by_text("by manager")).to_be_visible()


def test_browser_decodes_length_and_level_of_the_source(page, message):
    open_message(page, message)
    seconds, level = page.evaluate(DECODE, get_address(message, "recording/"))
    assert seconds == pytest.approx(6, abs=0.01)
    assert level == pytest.approx(LOUDNESS / 32_768 / math.sqrt(2), rel=0.01)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("sales_ann-smith_")
    assert download.value.path().stat().st_size == message.size


def test_recording_that_cannot_be_played_is_explained(page, message):
    open_message(page, message)
    message.recording.delete(save=False)
    press(page, "Play")
    expect(page.get_by_role("alert")).to_contain_text("The recording cannot be played.")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_support_cannot_hear_and_an_attempt_is_refused(page, message):
    open_message(page, message, "Support")
    expect(page.get_by_text("may not listen to messages")).to_be_visible()
    assert page.locator("audio, svg").count() == 0
    address = get_address(message, "recording/")
    for part in ("", "?download"):
        status = page.evaluate(
            "address => fetch(address).then(({status}) => status)", address + part
        )
        assert status == 403
    page.evaluate(
        "address => document.querySelector('main').append(Object.assign(new Audio(address), {id: 'own'}))",
        address,
    )
    error = page.locator("#own").evaluate("audio => audio.play().catch(error => error.name)")
    assert error == "NotSupportedError"
    press(page, "Mark as heard")
    expect(page.get_by_text("by support")).to_be_visible()


def test_message_is_heard_and_marked_without_javascript(browser, live_server, message):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    open_message(page, message)
    audio = page.locator("audio[controls]")
    expect(page.get_by_role("slider", name="Position")).to_be_hidden()
    with page.expect_response(lambda response: "/recording/" in response.url) as answer:
        audio.press("Space")
    assert answer.value.status == 206
    page.wait_for_timeout(1500)
    assert audio.evaluate(POSITION) > 0.5
    press(page, "Mark as heard")
    expect(page.get_by_text("1 message was marked as heard.")).to_be_visible()
    press(page, "Delete")
    page.goto(get_address(message))
    press(page, "Restore")
    expect(page.get_by_text("1 message was restored.")).to_be_visible()
    assert not Message.objects.get().is_deleted
    context.close()


@pytest.mark.parametrize("group", ["Manager", "Support"])
def test_page_of_a_message_is_accessible(page, message, mailbox, group):
    leave_message(mailbox)
    open_message(page, message, group)
    assert_accessible(page)
    if group == "Manager":
        press(page, "2×")
        press(page, "Play")
        expect(page.get_by_text("by manager")).to_be_visible()
        press(page, "Pause")
        assert_accessible(page)
    message.refresh_from_db()
    message.soft_delete()
    page.reload()
    assert_accessible(page)


def test_transcription_appears_and_its_sentences_seek(page, mailbox, settings):
    settings.TRANSCRIBER = "whisper"
    mailbox.transcribe = True
    mailbox.save()
    message = leave_message(mailbox, seconds=6)
    open_message(page, message)
    expect(page.get_by_text("The message is being transcribed.")).to_be_visible()
    segments = [Segment(0.0, 3.5, "Hello."), Segment(3.5, 6.0, "Please call me back.")]
    Message.finish_transcription(message.pk, "done", segments)
    sentence = page.get_by_role("link", name="Please call me back.")
    sentence.click(timeout=15_000)
    audio = page.locator("audio")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert 3.5 <= audio.evaluate(POSITION) < 5.5
    assert page.url.endswith(get_address(message))
    assert_accessible(page)
    page.get_by_role("link", name="Hello.").press("Enter")
    assert audio.evaluate(POSITION) < 3


def test_sentence_opens_the_recording_without_javascript(browser, live_server, mailbox):
    message = leave_message(mailbox, seconds=6, transcription_status="pending")
    Message.finish_transcription(message.pk, "done", [Segment(3.5, 6.0, "Call me.")])
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    open_message(page, message)
    page.get_by_role("link", name="Call me.").click()
    assert page.url.endswith(get_address(message, "recording/#t=3.5"))
    context.close()
