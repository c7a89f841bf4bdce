"""Greetings of an account: their list and pages, and each change of one."""

import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from mailboxes import contract
from mailboxes.audio import speech
from mailboxes.audio.recordings import Recording
from mailboxes.models import Account, Mailbox, Sound
from tests.audio.encoding import make_file
from tests.console.conftest import get_undo_address, list_messages, sign_in_with
from tests.console.pages import get_errors, get_form_values, get_text
from tests.recordings import make_samples
from tests.sounds import create_sound

LIST = "/accounts/acme/greetings/"
NEW = f"{LIST}new/"
TEXT = "Thank you for calling. Please leave a message after the tone."


# Writes a recording of a second, whatever the text is.
COPY = """
import sys, wave
assert sys.argv[1] == "amy"
with wave.open(sys.stdout.buffer, "wb") as file:
    file.setparams((1, 2, 8000, 8000, "NONE", ""))
    file.writeframes(bytes(range(250)) * 64)
"""


def make_upload(name="Lobby_hours.mp3", content=None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, make_file("mp3") if content is None else content)


def get_address(sound, page="") -> str:
    return f"/accounts/{sound.account}/greetings/{sound.pk}/{page}"


@pytest.fixture
def sound(account):
    return create_sound(account, "Welcome", file_name="welcome.wav")


@pytest.fixture
def customer(account):
    return Account.objects.create(name="shop", reseller=account)


# --- Add ----------------------------------------------------------------------------


def test_file_is_added_under_its_own_name(support, account):
    page = support.post(NEW, {"file": make_upload()}, follow=True)
    sound = Sound.objects.get()
    assert (sound.account, sound.name, sound.file_name) == (
        account,
        "Lobby hours",
        "Lobby_hours.mp3",
    )
    assert (sound.shared, sound.audio_type, sound.tag) == (False, 1, "Greeting")
    assert sound.history.get().history_user == support.user
    assert page.request["PATH_INFO"] == get_address(sound)
    assert list_messages(page) == ["Added: “Lobby hours”."]


@pytest.mark.parametrize(
    "name", ["wav 16 bit", "ogg opus", "flac", "chromium.webm", "chromium.m4a"]
)
def test_every_format_is_added(support, account, name):
    support.post(NEW, {"file": make_upload("a", make_file(name)), "name": "Hours"})
    sound = Sound.objects.get()
    assert sound.name == "Hours"
    assert sound.audio.duration >= 1


def test_text_is_read_by_a_voice(support, account):
    support.post(NEW, {"text": TEXT, "voice": "de+f3", "shared": "on"})
    sound = Sound.objects.get()
    assert (sound.text, sound.voice, sound.audio_type) == (TEXT, "de+f3", 2)
    assert (sound.name, sound.file_name) == ("Thank you for calling. Please leave a…", "")
    assert sound.shared
    assert 2 < sound.audio.duration < 8
    text = get_text(support.get(get_address(sound)))
    assert "German, a woman" in text
    assert TEXT in text


def test_form_sent_twice_adds_one_greeting(support, account):
    form = {"csrfmiddlewaretoken": "token", "name": "Hours"}
    pages = [support.post(NEW, form | {"file": make_upload()}) for _ in range(2)]
    assert pages[0]["Location"] == pages[1]["Location"]
    assert Sound.objects.count() == 1


def test_same_form_with_another_file_adds_another_greeting(support, account):
    form = {"csrfmiddlewaretoken": "token", "name": "Hours"}
    for name in ("mp3", "flac"):
        support.post(NEW, form | {"file": make_upload(content=make_file(name))})
    assert Sound.objects.count() == 2


def make_long_file() -> bytes:
    return Recording(8_000, make_samples(91, 8_000).tobytes()).to_wav()


@pytest.mark.parametrize(
    ("form", "field", "error"),
    [
        (dict, "file", "Choose a file, record, or enter a text."),
        (lambda: {"file": make_upload(), "text": TEXT}, "text", "not both"),
        (lambda: {"file": make_upload(content=b"nothing")}, "file", "as WAV, MP3, Ogg"),
        (lambda: {"file": make_upload(content=b"")}, "file", "The submitted file is empty."),
        (lambda: {"file": make_upload(content=make_long_file())}, "file", "90 seconds"),
        (lambda: {"text": "…"}, "text", "silent"),
        (lambda: {"text": "x" * 1001}, "text", "at most 1000 characters"),
        (lambda: {"text": TEXT, "voice": "xx"}, "voice", "xx is not one of the available choices"),
        (lambda: {"file": make_upload(), "name": "a\x07"}, "name", "control characters"),
        (lambda: {"file": make_upload(), "name": "x" * 101}, "name", "at most 100 characters"),
    ],
)
def test_wrong_form_is_refused_at_its_field(support, account, form, field, error):
    errors = get_errors(support.post(NEW, form()))
    assert list(errors) == [field]
    assert error in errors[field][0]
    assert not Sound.objects.exists()


def test_voice_that_fails_is_reported(support, account, settings):
    settings.TTS_COMMAND, settings.TTS_VOICES = ["false"], ["amy"]
    errors = get_errors(support.post(NEW, {"text": TEXT, "voice": "amy"}))
    assert errors["text"] == ["The voice cannot read this. Try another voice."]


def test_first_voice_of_a_command_is_the_default(support, account, settings):
    settings.TTS_COMMAND = [sys.executable, "-c", COPY, "{voice}"]
    settings.TTS_VOICES = ["amy", "bob"]
    assert support.get(NEW).context["form"]["voice"].value() == "amy"
    support.post(NEW, {"text": TEXT})
    assert Sound.objects.get().voice == "amy"


def test_file_without_a_visible_name_is_refused(support, account):
    page = support.post(NEW, {"file": make_upload("\u3164"), "name": "Hours"})
    assert get_errors(page) == {"file": ["This file name cannot be used. Rename the file."]}


def test_page_without_voices_says_how_to_get_them(support, account, monkeypatch):
    monkeypatch.setattr(speech, "PACKAGE", "missing_package")
    page = support.get(NEW)
    assert "TTS_COMMAND" in get_text(page)
    assert "text" not in page.context["form"].fields
    errors = get_errors(support.post(NEW, {"text": TEXT}))
    assert list(errors) == ["file"]


def test_full_account_is_reported(support, account, monkeypatch):
    monkeypatch.setattr(contract, "MAX_SOUNDS", 0)
    page = support.post(NEW, {"file": make_upload()})
    assert "An account has at most 0 sounds." in get_text(page)


def test_store_that_fails_is_reported(support, account, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("The disk is full.")

    monkeypatch.setattr(Sound, "create", fail)
    page = support.post(NEW, {"file": make_upload()})
    assert "The greeting cannot be stored: try again later." in get_text(page)


def test_only_pages_that_record_may_use_the_microphone(support, sound):
    for address in (NEW, get_address(sound, "replace/")):
        page = support.get(address)
        assert "microphone=(self)" in page["Permissions-Policy"]
        assert "media-src 'self' blob:" in page["Content-Security-Policy"]
        assert "script-src" not in page["Content-Security-Policy"]
        assert "default-src 'self'" in page["Content-Security-Policy"]
    for address in (LIST, get_address(sound), get_address(sound, "edit/"), "/"):
        page = support.get(address)
        assert "microphone=()" in page["Permissions-Policy"]
        assert "blob:" not in page["Content-Security-Policy"]


# --- List ---------------------------------------------------------------------------


def test_list_has_own_and_shared_greetings_with_their_use(viewer, account, customer, sound):
    create_sound(customer, "Opening hours")
    create_sound(account, "Private")
    Sound.objects.filter(pk=sound.pk).update(shared=True)
    Mailbox.objects.create(account=customer, name="Desk", greeting=sound.pk)
    page = viewer.get("/accounts/shop/greetings/")
    rows = {each.name: each.user_count for each in page.context["page"]}
    assert rows == {"Opening hours": 0, "Welcome": 1}
    assert "by acme" in get_text(page)
    assert f'src="{get_address(sound, "audio/")}"' in page.text


def test_list_is_searched_and_divided_into_pages(viewer, account, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.sounds.SOUNDS_PER_PAGE", 2)
    for name in ("Summer", "Winter one", "Winter two", "Winter three"):
        create_sound(account, name)
    page = viewer.get(f"{LIST}?q=winter").context["page"]
    assert [each.name for each in page] == ["Winter three", "Winter two"]
    assert page.paginator.count == 3
    assert "No greeting matches" in get_text(viewer.get(f"{LIST}?q=autumn"))


def test_query_count_does_not_grow_with_the_greetings(viewer, account, django_assert_num_queries):
    for number in range(1, 12):
        create_sound(account, str(number))
        if number in (1, 11):
            # Session, user, permissions twice, second factor; account, resellers, count, greetings.
            with django_assert_num_queries(9):
                viewer.get(LIST)


def test_unknown_account_is_not_found(viewer):
    assert viewer.get(LIST).status_code == 404


# --- One greeting -------------------------------------------------------------------


def test_page_names_the_mailboxes_that_use_it(viewer, sound):
    for number in range(22):
        name = f"Desk {number:02}"
        Mailbox.objects.create(account=sound.account, name=name, greeting=sound.pk)
    page = viewer.get(get_address(sound))
    assert len(page.context["users"]) == 20
    assert "22 in all" in get_text(page)


def test_recording_is_sent_whole_in_parts_and_as_a_file(viewer, sound):
    address = get_address(sound, "audio/")
    whole = viewer.get(address)
    assert (whole.status_code, whole["Content-Type"]) == (200, "audio/wav")
    assert whole["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert whole.content == sound.audio.read_original()
    part = viewer.get(address, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    download = viewer.get(f"{address}?download")
    assert download["Content-Disposition"] == 'attachment; filename="welcome.wav"'


def test_greeting_of_another_account_or_removed_one_is_not_found(viewer, sound, customer):
    wrong = get_address(sound).replace("/acme/", "/shop/")
    for address in (wrong, f"{wrong}audio/", f"{LIST}{uuid4()}/"):
        assert viewer.get(address).status_code == 404
    long_ago = timezone.now() - timedelta(days=400)
    Sound.objects.filter(pk=sound.pk).update(deleted_at=long_ago)
    assert viewer.get(get_address(sound)).status_code == 404


# --- Edit ---------------------------------------------------------------------------


def test_greeting_is_edited_and_put_back(support, sound):
    address = get_address(sound, "edit/")
    form = get_form_values(support.get(address))
    form |= {"name": "Good morning", "tag": "Day", "shared": "on"}
    page = support.post(address, form, follow=True)
    assert list_messages(page) == ["Saved: “Good morning”."]
    sound.refresh_from_db()
    assert (sound.name, sound.tag, sound.shared, sound.version) == ("Good morning", "Day", True, 2)
    assert "Welcome → Good morning" in get_text(page)
    page = support.post(get_undo_address(page), {"next": get_address(sound)}, follow=True)
    assert list_messages(page) == ["“Welcome” is as it was."]
    sound.refresh_from_db()
    assert (sound.name, sound.tag, sound.shared) == ("Welcome", "Greeting", False)
    support.post(get_undo_address(page))
    sound.refresh_from_db()
    assert sound.name == "Good morning"


def test_unchanged_form_writes_nothing(support, sound):
    address = get_address(sound, "edit/")
    page = support.post(address, get_form_values(support.get(address)), follow=True)
    assert list_messages(page) == []
    sound.refresh_from_db()
    assert sound.version == 1


def test_change_by_somebody_else_is_kept(support, sound):
    address = get_address(sound, "edit/")
    form = get_form_values(support.get(address))
    sound.change(tag="Night")
    support.post(address, form | {"name": "Good night"})
    sound.refresh_from_db()
    assert (sound.name, sound.tag) == ("Good night", "Night")


def test_greeting_that_customers_use_stays_shared(support, sound, customer):
    sound.change(shared=True)
    Mailbox.objects.create(account=customer, name="Desk", greeting=sound.pk)
    address = get_address(sound, "edit/")
    form = get_form_values(support.get(address))
    form.pop("shared")
    errors = get_errors(support.post(address, form))
    assert "A mailbox uses this greeting: “Desk”." in errors["__all__"][0]
    sound.refresh_from_db()
    assert sound.shared


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("name", " "), ("tag", "x" * 101)])
def test_wrong_field_is_refused(support, sound, field, value):
    address = get_address(sound, "edit/")
    form = get_form_values(support.get(address)) | {field: value}
    assert list(get_errors(support.post(address, form))) == [field]


# --- Replace ------------------------------------------------------------------------


def test_recording_is_replaced_and_put_back(support, sound):
    first = sound.audio_id
    address = get_address(sound, "replace/")
    page = support.post(address, {"file": make_upload()}, follow=True)
    sound.refresh_from_db()
    assert sound.audio_id != first
    assert (sound.name, sound.file_name) == ("Welcome", "Lobby_hours.mp3")
    assert "Replaced the recording" in get_text(page)
    support.post(get_undo_address(page))
    sound.refresh_from_db()
    assert (sound.audio_id, sound.file_name) == (first, "welcome.wav")


def test_recording_is_replaced_by_a_text(support, sound):
    support.post(get_address(sound, "replace/"), {"text": TEXT, "voice": "en"})
    sound.refresh_from_db()
    assert (sound.text, sound.audio_type, sound.file_name) == (TEXT, 2, "")


def test_wrong_file_replaces_nothing(support, sound):
    page = support.post(get_address(sound, "replace/"), {"file": make_upload(content=b"x")})
    assert list(get_errors(page)) == ["file"]
    first = sound.audio_id
    sound.refresh_from_db()
    assert sound.audio_id == first


def test_removed_recording_cannot_be_put_back(support, sound):
    support.post(get_address(sound, "replace/"), {"file": make_upload()})
    sound.audio.delete()
    support.get("/")  # which shows the success
    page = support.post(get_address(sound, "put-back/1/"), follow=True)
    assert list_messages(page) == ["Nothing was changed: that recording has been removed for good."]


def test_unknown_version_is_not_found(support, sound):
    for version in (9, 10**30):
        assert support.post(get_address(sound, f"put-back/{version}/")).status_code == 404


# --- Delete and restore -------------------------------------------------------------


def test_greeting_is_deleted_and_restored(support, sound):
    page = support.post(get_address(sound, "delete/"), follow=True)
    assert list_messages(page) == ["Deleted: “Welcome”."]
    assert "Deleted the greeting" in get_text(page)
    assert list(support.get(LIST).context["page"]) == []
    assert list(support.get(f"{LIST}?state=deleted").context["page"]) == [sound]
    page = support.post(get_address(sound, "restore/"), follow=True)
    assert list_messages(page) == ["Restored: “Welcome”."]
    sound.refresh_from_db()
    assert not sound.is_deleted


def test_deletion_is_undone(support, sound):
    page = support.post(get_address(sound, "delete/"), follow=True)
    support.post(get_undo_address(page))
    sound.refresh_from_db()
    assert not sound.is_deleted


def test_greeting_in_use_is_not_deleted(support, sound):
    Mailbox.objects.create(account=sound.account, name="Desk", greeting=sound.pk)
    page = support.post(get_address(sound, "delete/"), follow=True)
    (text,) = list_messages(page)
    assert text.startswith("A mailbox uses this greeting: “Desk”.")
    sound.refresh_from_db()
    assert not sound.is_deleted


def test_action_that_is_done_already_changes_nothing(support, sound):
    for action, version in [("restore/", 1), ("delete/", 2), ("delete/", 2)]:
        support.post(get_address(sound, action))
        sound.refresh_from_db()
        assert sound.version == version


@pytest.mark.parametrize("page", ["edit/", "replace/"])
def test_deleted_greeting_cannot_be_changed(support, sound, page):
    sound.soft_delete()
    answer = support.post(
        get_address(sound, page), {"name": "New", "file": make_upload()}, follow=True
    )
    assert list_messages(answer) == ["This greeting was deleted. Restore it first."]
    sound.refresh_from_db()
    assert sound.name == "Welcome"


# --- Permissions --------------------------------------------------------------------

VIEW, ADD, CHANGE, DELETE = (f"{verb}_sound" for verb in ("view", "add", "change", "delete"))


@pytest.mark.parametrize(
    ("method", "page", "permissions"),
    [
        ("get", "", [VIEW]),
        ("get", "audio/", [VIEW]),
        ("post", "edit/", [CHANGE]),
        ("post", "replace/", [CHANGE]),
        ("post", "delete/", [DELETE]),
        ("post", "restore/", [DELETE]),
        ("post", "put-back/1/", [CHANGE, DELETE]),
    ],
)
def test_each_page_needs_its_permissions(sound, method, page, permissions):
    for missing in permissions:
        others = {VIEW, ADD, CHANGE, DELETE} - {missing}
        browser = sign_in_with(*others)
        assert getattr(browser, method)(get_address(sound, page)).status_code == 403
        browser.user.delete()
    browser = sign_in_with(*permissions)
    assert getattr(browser, method)(get_address(sound, page)).status_code in (200, 302)


def test_list_and_form_need_their_permissions(account):
    browser = sign_in_with(CHANGE, DELETE)
    assert browser.get(LIST).status_code == 403
    assert browser.post(NEW, {"file": make_upload()}).status_code == 403
    assert not Sound.objects.exists()


def test_viewer_sees_no_buttons(viewer, sound):
    page = viewer.get(get_address(sound))
    for word in ("Edit", "Replace the recording", "Put this state back"):
        assert word not in get_text(page)
    assert "New greeting" not in get_text(viewer.get(LIST))


def test_stranger_is_sent_to_the_sign_in_page(client, sound):
    for address in (LIST, NEW, get_address(sound), get_address(sound, "audio/")):
        assert client.get(address)["Location"].startswith("/sign-in/")
