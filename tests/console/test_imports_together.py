"""Two who import at the same moment."""

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connections

from mailboxes.csvfiles import importing
from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import Account, Batch, Mailbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rosa():
    return User.objects.create_user("rosa")


@pytest.fixture
def desks():
    account = Account.objects.create(name="acme")
    return [Mailbox.objects.create(account=account, name=f"Desk {n}") for n in range(20)]


def checked(user, rows):
    text = format_rows([["uuid", "account", "name"], *rows])
    source = importing.stage_file(user, io.BytesIO(text.encode()), "mailboxes.csv")
    importing.check_rows(source, seconds=60)
    return source


def write_at_once(user, *sources):
    """What came of each: its batch, or that it was refused."""
    start = Barrier(len(sources))

    def write(source):
        start.wait()
        try:
            return importing.write_import(source, user)
        except importing.NotReadyError:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, sources))


def test_one_file_written_by_two_is_written_once(rosa, desks):
    source = checked(rosa, [["", "acme", f"New {n}"] for n in range(20)])
    first, second = write_at_once(rosa, source, source)
    assert first == second == Batch.objects.get()
    assert Mailbox.objects.count() == 40


def test_of_two_files_over_the_same_mailboxes_one_is_written_whole(rosa, desks):
    sources = [
        checked(rosa, [[str(desk.pk), "", f"{name} {desk.name}"] for desk in some])
        for name, some in (("Left", desks), ("Right", desks[::-1]))
    ]
    outcomes = write_at_once(rosa, *sources)
    assert outcomes.count("refused") == 1
    winner = "Left" if outcomes[1] == "refused" else "Right"
    names = Mailbox.objects.values_list("name", flat=True)
    assert sorted(names) == sorted(f"{winner} {desk.name}" for desk in desks)


def test_of_two_files_that_make_the_same_mailboxes_one_is_written_whole(rosa, desks):
    uuids = [f"63e54af8-07b5-4fd2-b15b-f4c31a82ca{n:02}" for n in range(20)]
    sources = [
        checked(rosa, [[uuid, "acme", name] for uuid in uuids]) for name in ("Left", "Right")
    ]
    outcomes = write_at_once(rosa, *sources)
    assert outcomes.count("refused") == 1
    made = Mailbox.objects.exclude(name__startswith="Desk")
    assert {mailbox.name for mailbox in made} == {"Left" if outcomes[1] == "refused" else "Right"}
    assert made.count() == 20
