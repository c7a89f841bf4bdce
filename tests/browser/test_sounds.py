"""Greetings in a real browser, with its fake microphone, which beeps once a second."""

import base64

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox, Sound
from tests.audio.encoding import make_file
from tests.browser.conftest import assert_accessible, sign_in
from tests.server import until
from tests.sounds import create_sound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

NEW = "/accounts/acme/greetings/new/"
ADD = "Add the greeting"
# Drops a file with this content on the form.
DROP = """
    async ([name, content]) => {
        const bytes = Uint8Array.from(atob(content), (digit) => digit.charCodeAt(0));
        const files = new DataTransfer();
        files.items.add(new File([bytes], name));
        document.querySelector("[data-drop]").dispatchEvent(
            new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }),
        );
    }
"""


@pytest.fixture
def account(db):
    return Account.objects.create(name="acme")


@pytest.fixture
def support(page, account):
    sign_in(page, "sue", "Support")
    return page


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


def record(page, milliseconds):
    page.get_by_role("button", name="Record with the microphone").click()
    page.wait_for_timeout(milliseconds)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_label("Your recording")).to_be_visible()


def test_recording_is_made_heard_kept_and_chosen(support, mailbox):
    page = support
    page.goto(NEW)
    assert_accessible(page)
    page.get_by_role("button", name="Record with the microphone").click()
    clock, meter = page.locator(".recorder .now"), page.locator("meter")
    expect(clock).to_have_text("0:01")
    until(lambda: page.evaluate("document.querySelector('meter').value > 0.05"))
    assert_accessible(page)
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Stop").click()
    expect(meter).to_be_hidden()
    audio = page.get_by_label("Your recording")
    expect(audio).to_be_visible()
    audio.evaluate("audio => audio.play()")
    until(lambda: page.evaluate("document.querySelector('.recorded audio').currentTime > 0.3"))
    assert_accessible(page)
    page.get_by_label("Name", exact=True).fill("Lobby")
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Added: “Lobby”.")).to_be_visible()
    sound = Sound.objects.get()
    assert sound.file_name.startswith("Recording 20")
    assert 1 <= sound.audio.duration <= 5
    assert max(sound.audio.peaks) > 100
    assert_accessible(page)

    page.goto(f"/mailboxes/{mailbox.pk}/")
    chosen = page.get_by_label("The chosen greeting")
    expect(chosen).to_be_hidden()
    page.get_by_label("Greeting", exact=True).select_option("Lobby")
    expect(chosen).to_be_visible()
    chosen.evaluate("audio => audio.play()")
    until(lambda: page.evaluate("document.querySelector('.picked audio').currentTime > 0.3"))
    assert_accessible(page)
    page.locator("form.panel").get_by_role("button", name="Save").last.click()
    expect(page.get_by_text("Saved: “Sales”.")).to_be_visible()
    mailbox.refresh_from_db()
    assert mailbox.greeting == sound.pk


def test_recording_is_discarded(support):
    page = support
    page.goto(NEW)
    record(page, 1200)
    page.get_by_role("button", name="Discard the recording").click()
    expect(page.get_by_label("Your recording")).to_be_hidden()
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Choose a file, record, or enter a text.")).to_be_visible()
    assert_accessible(page)
    assert not Sound.objects.exists()


def test_recording_stops_at_the_limit(support, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.sounds.MAX_SOUND_SECONDS", 2)
    page = support
    page.goto(NEW)
    page.get_by_role("button", name="Record with the microphone").click()
    expect(page.get_by_label("Your recording")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_refused_microphone_is_explained(support):
    page = support
    page.goto(NEW)
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(); }")
    page.get_by_role("button", name="Record with the microphone").click()
    expect(page.get_by_text("The browser does not give access to a microphone.")).to_be_visible()
    assert_accessible(page)


def test_microphone_is_refused_on_other_pages(support):
    page = support
    page.goto("/accounts/acme/greetings/")
    ask = "navigator.mediaDevices.getUserMedia({ audio: true }).then(() => 'given', (e) => e.name)"
    assert page.evaluate(ask) == "NotAllowedError"


def test_file_is_dropped(support):
    page = support
    page.goto(NEW)
    page.evaluate(DROP, ["Hours.mp3", base64.b64encode(make_file("mp3")).decode()])
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Added: “Hours”.")).to_be_visible()
    assert_accessible(page)
    assert Sound.objects.get().audio.duration == 2


def test_text_is_read(support):
    page = support
    page.goto(NEW)
    page.get_by_label("Text", exact=True).fill("Guten Tag, bitte sprechen Sie nach dem Ton.")
    page.get_by_label("Voice").select_option("German, a woman")
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("German, a woman")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Play").click()
    until(lambda: page.evaluate("document.querySelector('.player audio').currentTime > 0.5"))


def test_greeting_is_replaced_and_the_change_undone(support, account):
    page = support
    sound = create_sound(account)
    page.goto(f"/accounts/acme/greetings/{sound.pk}/")
    page.get_by_role("link", name="Replace the recording").click()
    assert_accessible(page)
    page.get_by_label("Audio file").set_input_files(
        {"name": "New.flac", "mimeType": "audio/flac", "buffer": make_file("flac")}
    )
    page.get_by_role("button", name="Replace the recording").click()
    assert_accessible(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("“Welcome” is as it was.")).to_be_visible()
    first = sound.audio_id
    sound.refresh_from_db()
    assert sound.audio_id == first


def test_list_is_searched_and_played(support, account):
    page = support
    for name in ("Welcome", "Closed"):
        create_sound(account, name)
    page.goto("/accounts/acme/")
    page.get_by_role("link", name="2 that its mailboxes can use").click()
    assert_accessible(page)
    page.get_by_label("Search the greetings").fill("wel")
    expect(page.locator("table.sounds tbody tr")).to_have_count(1)
    audio = page.get_by_label("Recording of Welcome")
    audio.evaluate("audio => audio.play()")
    until(lambda: page.evaluate("document.querySelector('.sounds audio').currentTime > 0.3"))


def test_new_mailbox_offers_greetings_once_its_account_is_entered(support, account):
    page = support
    create_sound(account)
    page.goto("/mailboxes/new/")
    page.get_by_label("Name", exact=True).fill("Sales")
    page.get_by_label("Account", exact=True).fill("acme")
    page.get_by_label("Account", exact=True).press("Tab")
    page.locator("select#id_greeting").select_option("Welcome")
    assert_accessible(page)
    page.locator("form.panel").get_by_role("button", name="Create").last.click()
    expect(page.locator("h1")).to_have_text("Sales")
    assert Mailbox.objects.get().greeting == Sound.objects.get().pk


@pytest.fixture
def plain_page(browser, live_server, account):
    """A page without JavaScript, of a member of Support."""
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "sue", "Support")
    yield page
    context.close()


def test_file_is_uploaded_and_chosen_without_javascript(plain_page, mailbox):
    page = plain_page
    page.goto(NEW)
    expect(page.get_by_role("button", name="Record with the microphone")).to_be_hidden()
    page.get_by_label("Audio file").set_input_files(
        {"name": "Hours.mp3", "mimeType": "audio/mpeg", "buffer": make_file("mp3")}
    )
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Added: “Hours”.")).to_be_visible()
    page.goto(f"/mailboxes/{mailbox.pk}/")
    page.get_by_label("Greeting", exact=True).select_option("Hours")
    page.locator("form.panel").get_by_role("button", name="Save").last.click()
    mailbox.refresh_from_db()
    assert mailbox.greeting == Sound.objects.get().pk
