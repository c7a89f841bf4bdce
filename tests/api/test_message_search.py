"""A search of messages reads and decrypts each one of the mailbox once."""

import pytest

from mailboxes.models import Mailbox, Message
from tests.benchmarks.filling import build_messages


@pytest.fixture
def path(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    Message.objects.bulk_create(build_messages(mailbox, 50))
    return f"/voip/mailbox/{mailbox.uuid}/messages"


def test_search_needs_as_many_queries_for_many_messages(
    service, path, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        answer = service.get(f"{path}?search=INVOICE")
    assert len(answer.result) == 50


def test_search_finds_words_in_any_case_with_or_without_accents(service, path):
    message = Message.objects.first()
    message.transcription = "Der SCHLÜSSEL liegt bei Łukasz."
    message.save()
    for words in ("schlussel", "Schlüssel", "LUKASZ", "łukasz liegt"):
        rows = service.get(f"{path}?search={words}").result
        assert [row["uuid"] for row in rows] == [str(message.uuid)]
