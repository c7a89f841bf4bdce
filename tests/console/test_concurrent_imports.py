"""Two imports written at the same moment."""

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


def stage_and_check(user, rows):
    text = format_rows([["uuid", "account", "name"], *rows])
    source = importing.stage_file(user, io.BytesIO(text.encode()), "mailboxes.csv")
    importing.check_rows(source, seconds=60)
    return source


def write_concurrently(user, *sources):
    """Write the imports at the same moment; return each one's batch, or "refused"."""
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


def test_file_written_twice_at_once_is_imported_once(rosa, desks):
    source = stage_and_check(rosa, [["", "acme", f"New {n}"] for n in range(20)])
    first, second = write_concurrently(rosa, source, source)
    assert first == second == Batch.objects.get()
    assert Mailbox.objects.count() == 40


def test_only_one_of_two_files_changes_the_same_mailboxes(rosa, desks):
    sources = [
        stage_and_check(rosa, [[str(desk.pk), "", f"{name} {desk.name}"] for desk in order])
        for name, order in (("Left", desks), ("Right", desks[::-1]))
    ]
    outcomes = write_concurrently(rosa, *sources)
    assert outcomes.count("refused") == 1
    winner = "Left" if outcomes[1] == "refused" else "Right"
    names = Mailbox.objects.values_list("name", flat=True)
    assert sorted(names) == sorted(f"{winner} {desk.name}" for desk in desks)


def test_only_one_of_two_files_creates_the_same_mailboxes(rosa, desks):
    uuids = [f"63e54af8-07b5-4fd2-b15b-f4c31a82ca{n:02}" for n in range(20)]
    sources = [
        stage_and_check(rosa, [[uuid, "acme", name] for uuid in uuids])
        for name in ("Left", "Right")
    ]
    outcomes = write_concurrently(rosa, *sources)
    assert outcomes.count("refused") == 1
    created = Mailbox.objects.exclude(name__startswith="Desk")
    assert {mailbox.name for mailbox in created} == {
        "Left" if outcomes[1] == "refused" else "Right"
    }
    assert created.count() == 20
