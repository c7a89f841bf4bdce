"""Greetings: their addresses in a lookup, and those of the folder served to whoever was given theirs."""

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


def test_a_lookup_tells_where_the_greeting_is(folder, asterisk, greeted):
    url = greeting_url(asterisk, greeted)
    answer = InProcess().get(urlsplit(url).path)
    assert urlsplit(url).netloc == "localhost"
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/x-wav")
    with wave.open(io.BytesIO(answer.body)) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 8000)


def test_asterisk_can_take_the_address_as_it_is(folder, asterisk, greeted):
    """It takes an ampersand for another file, and the end of the address for the format."""
    url = greeting_url(asterisk, greeted)
    assert not set(url) & set("&?%,;'\"$ ")
    assert url.endswith(f"/{GREETING}.wav")


def test_without_a_greeting_there_is_no_address(folder, asterisk, mailbox):
    assert greeting_url(asterisk, mailbox) == ""


def test_nor_of_one_that_is_missing(folder, asterisk, greeted):
    (folder / f"{GREETING}.wav").unlink()
    assert greeting_url(asterisk, greeted) == ""


CUT_SHORT = b"RIFF\x24\x00\x00\x00WAVELIST\xc8\x00\x00\x00" + b"x" * 10


@pytest.mark.parametrize("body", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", b"<html>", CUT_SHORT])
def test_nor_of_what_is_no_wav(folder, asterisk, greeted, body):
    (folder / f"{GREETING}.wav").write_bytes(body)
    assert greeting_url(asterisk, greeted) == ""


def test_nor_of_what_is_no_file(folder, asterisk, greeted):
    """A lookup that opened a pipe would wait for somebody to write into it."""
    (folder / f"{GREETING}.wav").unlink()
    os.mkfifo(folder / f"{GREETING}.wav")
    assert greeting_url(asterisk, greeted) == ""


@pytest.mark.parametrize("other", [{"rate": 44100}, {"channels": 2}])
def test_nor_of_what_no_telephone_plays(folder, asterisk, greeted, other):
    write_tone(folder / f"{GREETING}.wav", 660, seconds=1, **other)
    assert greeting_url(asterisk, greeted) == ""
    path = f"/sounds/{sounds.signature(GREETING)}/{GREETING}.wav"
    assert InProcess().get(path).status == 404


def test_without_a_folder_there_is_none(asterisk, greeted):
    assert greeting_url(asterisk, greeted) == ""


def test_another_service_may_have_them(settings, asterisk, greeted):
    settings.SOUNDS_URL = "https://sounds.example/files/"
    assert greeting_url(asterisk, greeted) == f"https://sounds.example/files/{GREETING}.wav"


def test_a_list_looks_for_no_file(folder, asterisk, greeted):
    assert b"greeting_url" not in asterisk.multi("acme").body


def test_who_was_not_given_the_address_is_not_served(folder):
    for signed in ("", "x", "é", sounds.signature(UUID(int=0))):
        answer = InProcess().get(f"/sounds/{signed}/{GREETING}.wav")
        assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "%00", "x"])
def test_nothing_else_of_the_disk_is(folder, name):
    (folder.parent / "secret.wav").write_bytes((folder / f"{GREETING}.wav").read_bytes())
    assert InProcess().get(f"/sounds/{sounds.signature(name)}/{name}.wav").status == 404


def test_asking_again_costs_nothing_where_it_is_the_same(folder):
    path = f"/sounds/{sounds.signature(GREETING)}/{GREETING}.wav"
    had = {"If-None-Match": InProcess().get(path).headers["etag"]}
    again = InProcess().get(path, headers=had)
    assert (again.status, again.body) == (304, b"")
    write_tone(folder / f"{GREETING}.wav", 440, seconds=2)
    assert InProcess().get(path, headers=had).status == 200


def test_a_greeting_costs_no_query(db, folder, django_assert_num_queries):
    with django_assert_num_queries(0):
        InProcess().get(f"/sounds/{sounds.signature(GREETING)}/{GREETING}.wav")


def test_no_mailbox_is_changed_by_any_of_it(folder, asterisk, greeted):
    before = Mailbox.objects.values().get()
    greeting_url(asterisk, greeted)
    assert Mailbox.objects.values().get() == before
