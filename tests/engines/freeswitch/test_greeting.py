"""Greetings for FreeSWITCH: the path of the file, and its signed address."""

from urllib.parse import urlsplit

from tests.engines.sound import GREETING
from tests.service import InProcess

VARIABLES = ("voicemail_greeting_path", "mailbox_greeting_url")


def find_greeting(freeswitch, mailbox):
    variables = freeswitch.user(mailbox).variables
    return {name: variables[name] for name in VARIABLES if name in variables}


def test_greeting_has_a_path_and_an_address(sounds_folder, freeswitch, greeted_mailbox):
    found = find_greeting(freeswitch, greeted_mailbox)
    assert found["voicemail_greeting_path"] == f"{sounds_folder}/{GREETING}.wav"
    answer = InProcess().get(urlsplit(found["mailbox_greeting_url"]).path)
    assert answer.body == (sounds_folder / f"{GREETING}.wav").read_bytes()


def test_greeting_of_another_service_has_its_address(settings, freeswitch, greeted_mailbox):
    settings.SOUNDS_URL = "https://sounds.example/files/"
    address = f"https://sounds.example/files/{GREETING}.wav"
    assert find_greeting(freeswitch, greeted_mailbox) == {"mailbox_greeting_url": address}


def test_missing_greeting_has_no_variables(sounds_folder, freeswitch, greeted_mailbox):
    (sounds_folder / f"{GREETING}.wav").unlink()
    assert find_greeting(freeswitch, greeted_mailbox) == {}


def test_mailbox_without_a_greeting_has_no_variables(sounds_folder, freeswitch, mailbox):
    assert find_greeting(freeswitch, mailbox) == {}
