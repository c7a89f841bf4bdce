"""Greetings: their signed addresses in a lookup, and the files served there."""

import io
import os
import wave
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from mailboxes.engines import sounds
from mailboxes.models import Mailbox
from tests.engines.sound import GREETING, write_tone
from tests.service import InProcess


def greeting_url(asterisk, mailbox):
    return asterisk.mailbox(mailbox)["greeting_url"]


def test_lookup_has_the_address_of_the_greeting(sounds_folder, asterisk, greeted_mailbox):
    url = greeting_url(asterisk, greeted_mailbox)
    answer = InProcess().get(urlsplit(url).path)
    assert urlsplit(url).netloc == "localhost"
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/x-wav")
    with wave.open(io.BytesIO(answer.body)) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 8000)


def test_address_has_no_character_that_asterisk_misreads(sounds_folder, asterisk, greeted_mailbox):
    """Asterisk splits at an ampersand, and reads the format from the end of the address."""
    url = greeting_url(asterisk, greeted_mailbox)
    assert not set(url) & set("&?%,;'\"$ ")
    assert url.endswith(f"/{GREETING}.wav")


def test_mailbox_without_a_greeting_gets_no_url(sounds_folder, asterisk, mailbox):
    assert greeting_url(asterisk, mailbox) == ""


def test_missing_file_gets_no_url(sounds_folder, asterisk, greeted_mailbox):
    (sounds_folder / f"{GREETING}.wav").unlink()
    assert greeting_url(asterisk, greeted_mailbox) == ""


CUT_SHORT = b"RIFF\x24\x00\x00\x00WAVELIST\xc8\x00\x00\x00" + b"x" * 10


@pytest.mark.parametrize("body", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", b"<html>", CUT_SHORT])
def test_broken_wav_gets_no_url(sounds_folder, asterisk, greeted_mailbox, body):
    (sounds_folder / f"{GREETING}.wav").write_bytes(body)
    assert greeting_url(asterisk, greeted_mailbox) == ""


def test_named_pipe_gets_no_url(sounds_folder, asterisk, greeted_mailbox):
    """A lookup that opened a pipe would wait for a writer."""
    (sounds_folder / f"{GREETING}.wav").unlink()
    os.mkfifo(sounds_folder / f"{GREETING}.wav")
    assert greeting_url(asterisk, greeted_mailbox) == ""


@pytest.mark.parametrize("other", [{"rate": 44100}, {"channels": 2}])
def test_wav_not_in_telephone_quality_gets_no_url_and_is_not_served(
    sounds_folder, asterisk, greeted_mailbox, other
):
    write_tone(sounds_folder / f"{GREETING}.wav", 660, seconds=1, **other)
    assert greeting_url(asterisk, greeted_mailbox) == ""
    path = f"/sounds/{sounds.sign(GREETING)}/{GREETING}.wav"
    assert InProcess().get(path).status == 404


def test_greeting_without_a_sounds_folder_gets_no_url(asterisk, greeted_mailbox):
    assert greeting_url(asterisk, greeted_mailbox) == ""


def test_greeting_of_another_service_has_its_address(settings, asterisk, greeted_mailbox):
    settings.SOUNDS_URL = "https://sounds.example/files/"
    assert greeting_url(asterisk, greeted_mailbox) == f"https://sounds.example/files/{GREETING}.wav"


def test_list_has_no_urls(sounds_folder, asterisk, greeted_mailbox):
    assert b"greeting_url" not in asterisk.multi("acme").body


def test_wrong_signature_is_404(sounds_folder):
    for signed in ("", "x", "é", sounds.sign(UUID(int=0))):
        answer = InProcess().get(f"/sounds/{signed}/{GREETING}.wav")
        assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "%00", "x"])
def test_file_outside_the_folder_is_404(sounds_folder, name):
    (sounds_folder.parent / "secret.wav").write_bytes(
        (sounds_folder / f"{GREETING}.wav").read_bytes()
    )
    assert InProcess().get(f"/sounds/{sounds.sign(name)}/{name}.wav").status == 404


def test_unchanged_file_is_304(sounds_folder):
    path = f"/sounds/{sounds.sign(GREETING)}/{GREETING}.wav"
    condition = {"If-None-Match": InProcess().get(path).headers["etag"]}
    again = InProcess().get(path, headers=condition)
    assert (again.status, again.body) == (304, b"")
    write_tone(sounds_folder / f"{GREETING}.wav", 440, seconds=2)
    assert InProcess().get(path, headers=condition).status == 200


def test_greeting_costs_no_query(db, sounds_folder, django_assert_num_queries):
    with django_assert_num_queries(0):
        InProcess().get(f"/sounds/{sounds.sign(GREETING)}/{GREETING}.wav")


def test_lookup_changes_no_mailbox(sounds_folder, asterisk, greeted_mailbox):
    before = Mailbox.objects.values().get()
    greeting_url(asterisk, greeted_mailbox)
    assert Mailbox.objects.values().get() == before
