"""Every word of the pages of greetings comes from gettext, as in test_translation.py."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes.models import Account, Mailbox, Sound
from tests.audio.encoding import make_file
from tests.console.test_translation import (  # noqa: F401  the marks are a fixture
    _marked_lookups,
    assert_translated,
    sign_in_with_digits,
)
from tests.sounds import create_sound

pytestmark = pytest.mark.long

LIST = "/accounts/101/greetings/"


@pytest.fixture
def browser(db, settings):
    settings.TTS_COMMAND, settings.TTS_VOICES = ["false"], ["9"]  # names of voices are data
    return sign_in_with_digits("Support")


@pytest.fixture
def address(db):
    """The address of a greeting that has changed in every way, and is used and shared."""
    account = Account.objects.create(name="101")
    customer = Account.objects.create(name="102", reseller=account)
    sound = create_sound(account, "201", tag="1", file_name="202")
    sound.change(shared=True, text="301 302", voice="9")
    sound.soft_delete()
    sound.restore()
    Mailbox.objects.create(account=customer, name="203", greeting=sound.pk)
    create_sound(account, "204", tag="1").soft_delete()
    return f"{LIST}{sound.pk}/"


def test_pages_are_translated(browser, address):
    lists = [LIST, f"{LIST}?q=9", f"{LIST}?state=deleted", f"{LIST}?state=deleted&q=9"]
    pages = [f"{LIST}new/", address, f"{address}edit/", f"{address}replace/"]
    of_customer = ["/accounts/102/greetings/", "/accounts/102/"]
    for page in (*lists, *pages, *of_customer):
        assert_translated(browser.get(page))


def test_empty_pages_are_translated(browser, monkeypatch):
    Account.objects.create(name="101")
    for page in (LIST, f"{LIST}?state=deleted"):
        assert_translated(browser.get(page))
    monkeypatch.setattr("mailboxes.console.sound_forms.list_voices", dict)
    assert_translated(browser.get(f"{LIST}new/"))


def make_upload(content=None):
    return SimpleUploadedFile("1.1", content or make_file("mp3"))


def test_answers_to_forms_are_translated(browser, address):
    forms = [
        (f"{LIST}new/", {}),
        (f"{LIST}new/", {"text": "9", "file": make_upload()}),
        (f"{LIST}new/", {"text": "9", "voice": "9"}),
        (f"{address}edit/", {"name": "205"}),
        (f"{address}edit/", {}),
        (f"{address}replace/", {"file": make_upload()}),
        (f"{address}put-back/1/", {}),
        (f"{address}delete/", {}),
    ]
    for page, form in forms:
        assert_translated(browser.post(page, form, follow=True))
    Mailbox.objects.update(greeting=None)
    for page in ("delete/", "edit/", "restore/"):
        assert_translated(browser.post(address + page, follow=True))
    Sound.objects.all().delete()
    assert browser.get(address).status_code == 404


def test_bulk_errors_are_translated(browser, address):
    for sound in ("", "9"):
        assert_translated(browser.get(f"/bulk/change/?all=on&to-greeting=set&to-sound={sound}"))
