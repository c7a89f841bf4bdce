"""Lists that are too long for the memory are the same as short ones, but built in a file."""

import pytest

from mailboxes.api import lists
from mailboxes.http import bodies
from mailboxes.models import EmailRecipient, Mailbox

PATHS = ["/voip/mailbox", "/voip/mailbox?order=created", "/voip/mailbox?search=box"]


@pytest.fixture(autouse=True)
def mailboxes(account):
    rows = [Mailbox(account=account, name=f"Box {number}") for number in range(23)]
    for row in rows:
        row.password = "8305"
    Mailbox.objects.bulk_create(rows)
    EmailRecipient.objects.bulk_create(
        EmailRecipient(mailbox=row, email=f"{name}@acme.example") for row in rows for name in "ab"
    )
    rows[3].soft_delete()


@pytest.fixture
def short_memory(monkeypatch):
    """Return a function that makes the lists of these mailboxes long ones."""

    def shorten():
        monkeypatch.setattr(lists, "MAX_IN_MEMORY", 10)
        monkeypatch.setattr(lists, "CHUNK_SIZE", 4)
        monkeypatch.setattr(lists.LIST, "compiled", {})  # the limit is a part of the query
        monkeypatch.setattr(lists.CALLER_AND_LIST, "compiled", {})

    return shorten


@pytest.mark.parametrize("path", PATHS)
def test_long_list_is_the_same_as_a_short_one(service, short_memory, path):
    short = service.get(path)
    short_memory()
    long = service.get(path)
    assert (long.status, len(long.result)) == (200, 22)
    assert long.body == short.body
    different = {"x-request-id", "ratelimit"}
    assert {name: value for name, value in long.headers.items() if name not in different} == {
        name: value for name, value in short.headers.items() if name not in different
    }


@pytest.mark.parametrize("path", PATHS)
def test_long_list_is_304_if_it_has_not_changed(service, short_memory, path):
    short_memory()
    headers = {"If-None-Match": service.get(path).headers["etag"]}
    assert service.get(path, headers=headers).status == 304
    Mailbox.objects.active().first().turn_transcription(on=True)
    assert service.get(path, headers=headers).status == 200


def test_head_of_a_long_list_has_no_body(service, short_memory):
    short_memory()
    answer = service.call("HEAD", PATHS[0])
    assert (answer.status, answer.headers["x-total-count"]) == (200, "22")


@pytest.mark.parametrize("path", PATHS)
def test_too_many_long_lists_are_refused(service, short_memory, monkeypatch, path):
    short_memory()
    monkeypatch.setattr(bodies, "MEMORY_BYTES", 100)
    monkeypatch.setattr(lists, "MAX_ANSWER_FILES", 0)
    answer = service.get(path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "Too many long answers" in answer.errors["non_field_errors"][0]["message"]
