"""Searches of messages for numbers, unknown callers, and mailboxes' names."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Mailbox, Message, message_search
from mailboxes.models.messages import NEWEST_FIRST
from tests.console.conftest import create_desks
from tests.messages import leave_message

pytestmark = pytest.mark.django_db

MOST = 100  # of which transcriptions are searched


@pytest.fixture
def sales(account):
    return Mailbox.objects.create(account=account, name="Sales")


def search(text, most, *, in_transcriptions=True):
    mailboxes = Mailbox.objects.active()
    return Message.objects.search_newest(text, most, mailboxes, in_transcriptions=in_transcriptions)


def find(text, *, most=MOST, in_transcriptions=True):
    """Return the callers of the messages that a search of the console finds."""
    found = search(text, most, in_transcriptions=in_transcriptions)
    return [message.caller_id_name for message in found.order_by(*NEWEST_FIRST)]


NUMBERS = {
    "+49171234567": [
        "0171 234 567",
        "+49 171-234567",
        "+49 (0)171 / 234.567",
        "0049171234567",
        "0049 (171) 234567",
        "171 234",
        "234 567",
        "49171",
        "+49",
    ],
    "0171234567": ["+49 171-234567", "0049 171 234567", "0171-234567", "(0171) 234567"],
    "+1 (555) 010-9999": ["5550109999", "+15550109999", "001 555 0109999", "555 010"],
    "+49 (0)30 1234": ["030 1234", "+49 30 1234", "0301234"],
}


@pytest.mark.parametrize("most", [MOST, 0], ids=["decrypted", "in the database"])
@pytest.mark.parametrize("stored", NUMBERS)
def test_number_is_found_as_people_type_it(sales, stored, most):
    leave_message(sales, "Ann", caller_id_number=stored)
    leave_message(sales, "Bob", caller_id_number="+44 20 7946 0123")
    for typed in NUMBERS[stored]:
        assert find(typed, most=most) == ["Ann"], typed


@pytest.mark.parametrize(
    "typed", ["0171 234 568", "+50 171 234567", "1712345678", "00", "(0) 0171"]
)
def test_other_numbers_are_not_found(sales, typed):
    leave_message(sales, "Ann", caller_id_number="+49171234567")
    found = find(typed)
    assert found == (["Ann"] if typed == "(0) 0171" else [])


def test_number_and_words_are_found_together(sales):
    leave_message(sales, "Ann", caller_id_number="+49171234567", text="Call 5 7 9 back.")
    for text in ("ann 0171 234 567", "0171 234 567 sales", "0171-234 back", "5 7 9", "579"):
        assert find(text) == ([] if text == "579" else ["Ann"]), text
    assert find("bob 0171 234 567") == []


def test_api_finds_numbers_as_the_console_does(service, sales):
    leave_message(sales, "Ann", caller_id_number="+49171234567")
    leave_message(sales, "Bob", caller_id_number="+44 20 7946 0123")
    path = f"/voip/mailbox/{sales.pk}/messages"
    for typed in ("0171 234 567", "0049 171-234567"):
        (row,) = service.get(f"{path}?search={typed.replace(' ', '%20')}").result
        assert row["caller_id_name"] == "Ann"


def test_api_searches_callers_and_transcriptions_only(service, sales):
    leave_message(sales)
    for word in ("sales", "unknown"):
        assert service.get(f"/voip/mailbox/{sales.pk}/messages?search={word}").result == []


@pytest.mark.parametrize("most", [MOST, 0])
@pytest.mark.parametrize("text", ["unknown", "UNKNOWN caller", "unkno", "unknown sales"])
def test_messages_without_a_caller_are_unknown(sales, text, most):
    leave_message(sales, "")
    leave_message(sales, "Ann")
    leave_message(sales, "", caller_id_number="12345")
    assert search(text, most).count() == 1


@pytest.mark.parametrize("text", ["call", "unknown ann", "known", "unknown 12345"])
def test_part_of_a_word_or_another_caller_is_not_unknown(sales, text):
    leave_message(sales, "")
    leave_message(sales, "Ann")
    assert find(text) == []


def test_unknown_caller_is_found_in_the_language_shown(sales, monkeypatch):
    monkeypatch.setattr(message_search, "gettext", lambda text: "Unbekannter Anrufer")
    leave_message(sales, "")
    assert find("unbekannt") == [""]
    assert find("unknown") == []


@pytest.mark.parametrize("most", [MOST, 0])
@pytest.mark.parametrize("limit", [500, 0], ids=["few mailboxes", "many mailboxes"])
def test_mailbox_name_finds_its_messages(sales, account, monkeypatch, most, limit):
    monkeypatch.setattr(message_search, "MOST_NAMED", limit)
    (desk,) = create_desks(account, 1)
    office = Mailbox.objects.create(account=account, name="Büro")
    leave_message(sales, "Ann")
    leave_message(desk, "Bob")
    leave_message(office, "Eve")
    for text, found in (
        ("sales", ["Ann"]),
        ("desk bob", ["Bob"]),
        ("desk ann", []),
        ("buro", ["Eve"]),
        ("ESK", ["Bob"]),
        ("sales desk", []),
    ):
        assert find(text, most=most) == found, text


def test_mailbox_name_and_transcription_are_found_together(sales):
    leave_message(sales, "Ann", text="The invoice is wrong.")
    assert find("sales invoice") == ["Ann"]
    assert find("sales invoice", in_transcriptions=False) == []


@pytest.mark.parametrize("is_api", [True, False])
def test_matches_are_one_parameter_of_the_query(sales, is_api):
    for _ in range(3):
        leave_message(sales, "Ann", text="Word")
    with CaptureQueriesContext(connection) as queries:
        found = Message.objects.search("word") if is_api else search("word", MOST)
        assert found.count() == 3
    lists = "json_each" if connection.vendor == "sqlite" else "ANY("
    assert lists in queries[-1]["sql"]


@pytest.mark.parametrize("count", [0, 70_000])
def test_more_uuids_than_parameters_are_looked_up(sales, count):
    message = leave_message(sales, "Ann")
    uuids = [message.pk] * count
    assert Message.objects.filter(pk__among=uuids).count() == (1 if count else 0)
