"""Where FreeSWITCH finds a greeting: the folder's file, or the signed address of it."""

from urllib.parse import urlsplit

from tests.engines.sound import GREETING
from tests.service import InProcess

PLACES = ("voicemail_greeting_path", "mailbox_greeting_url")


def places(freeswitch, mailbox):
    variables = freeswitch.user(mailbox).variables
    return {name: variables[name] for name in PLACES if name in variables}


def test_the_file_and_its_address(folder, freeswitch, greeted):
    found = places(freeswitch, greeted)
    assert found["voicemail_greeting_path"] == f"{folder}/{GREETING}.wav"
    answer = InProcess().get(urlsplit(found["mailbox_greeting_url"]).path)
    assert answer.body == (folder / f"{GREETING}.wav").read_bytes()


def test_another_service_may_have_it(settings, freeswitch, greeted):
    settings.SOUNDS_URL = "https://sounds.example/files/"
    address = f"https://sounds.example/files/{GREETING}.wav"
    assert places(freeswitch, greeted) == {"mailbox_greeting_url": address}


def test_one_that_is_missing_is_nowhere(folder, freeswitch, greeted):
    (folder / f"{GREETING}.wav").unlink()
    assert places(freeswitch, greeted) == {}


def test_nor_is_that_of_a_mailbox_without_one(folder, freeswitch, mailbox):
    assert places(freeswitch, mailbox) == {}
