import base64
import io
import json
import os
import secrets
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from mailboxes.csvfiles import importing
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import IdempotentAnswer, ImportRow, Mailbox, ServerProcess
from tests.databases import default_database
from tests.processes import RunningProcess

OLD, NEW, LOST = (secrets.token_bytes(KEY_BYTES) for _ in range(3))
NAMES = {key: KeyRing.make_key_id(key) for key in (OLD, NEW, LOST)}
ORDER = f"In PASS_CODE_KEYS, in this order: {NAMES[NEW]}, {NAMES[OLD]}."
DONE = (
    f"All is sealed with the first of PASS_CODE_KEYS, {NAMES[NEW]}: "
    "those listed behind it may be removed."
)


@pytest.fixture
def mailbox(service, settings):
    """One of everything that is sealed, with the old key; on the ring stands a new one before it."""
    ServerProcess.objects.all().delete()  # a server that other tests have started has its own key
    settings.PASS_CODE_KEYS = KeyRing([OLD])
    body = {"name": "Sales", "password": "4829"}
    uuid = service.post("/voip/mailbox", body, headers={"Idempotency-Key": "k"}).result["uuid"]
    service.post("/voip/mailbox", {"name": "No pass code"})
    file = io.BytesIO(b"account,name,password\nacme,Support,7392\n")
    importing.stage_file(User.objects.create_user("rosa"), file, "mailboxes.csv")
    settings.PASS_CODE_KEYS = KeyRing([NEW, OLD])
    return Mailbox.objects.get(pk=uuid)


def rows():
    """All that the database holds."""
    return {
        model.__name__: list(model._base_manager.order_by("pk").values())
        for model in apps.get_models()
    }


def without(column, found):
    return [{name: row[name] for name in row if name != column} for row in found]


def test_all_is_sealed_with_the_new_key_and_the_old_one_may_go(mailbox, settings, capsys):
    assert KeyRing.make_key_id(OLD) in str(rows())
    call_command("rotate_pass_codes")
    assert capsys.readouterr().out == (
        f"{ORDER}\nSealed with an older key: 4 (4 under {NAMES[OLD]}).\n{DONE}\n"
    )
    assert KeyRing.make_key_id(OLD) not in str(rows())
    settings.PASS_CODE_KEYS = KeyRing([NEW])
    assert Mailbox.objects.get(pk=mailbox.pk).password == "4829"
    assert Mailbox.history.get(uuid=mailbox.pk).password == "4829"
    assert json.loads(IdempotentAnswer.objects.get().body)["result"]["password"] == "4829"
    assert ImportRow.objects.get().cells["password"] == "7392"


def test_nothing_else_changes(mailbox):
    before = rows()
    call_command("rotate_pass_codes")
    after = rows()
    sealed = {
        "Mailbox": "password_sealed",
        "HistoricalMailbox": "password_sealed",
        "IdempotentAnswer": "body_sealed",
        "ImportRow": "cells_sealed",
    }
    for name in before:
        column = sealed.get(name)
        assert without(column, after[name]) == without(column, before[name])
        assert not column or after[name] != before[name]


def test_doing_it_again_changes_nothing(mailbox, capsys):
    call_command("rotate_pass_codes")
    before = rows()
    call_command("rotate_pass_codes")
    assert rows() == before
    assert capsys.readouterr().out.endswith(f"Sealed with an older key: 0.\n{DONE}\n")


def test_what_no_key_opens_is_named_and_left_and_the_rest_done(mailbox, account, capsys):
    lost = Mailbox(account=account, name="Lost")
    lost.password_sealed = KeyRing([LOST]).encrypt("8305", lost.owner)
    broken = Mailbox(account=account, name="Broken", password_sealed="8305")
    Mailbox.objects.bulk_create([lost, broken])
    with pytest.raises(CommandError, match=r"^Still sealed with an older key: 2 ") as refusal:
        call_command("rotate_pass_codes")
    assert f"1 under {NAMES[LOST]}" in str(refusal.value)
    assert "1 under ?" in str(refusal.value)
    assert refusal.value.returncode == 1
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == sorted(
        f"No key in PASS_CODE_KEYS opens mailbox {row.pk} (key {key})."
        for row, key in ((lost, NAMES[LOST]), (broken, "?"))
    )
    assert Mailbox.objects.get(pk=lost.pk).password_sealed == lost.password_sealed
    assert Mailbox.objects.get(pk=broken.pk).password_sealed == "8305"
    assert Mailbox.objects.get(pk=mailbox.pk).password_sealed.startswith(KeyRing.make_key_id(NEW))


def test_what_was_set_meanwhile_stays(mailbox):
    writer = Mailbox.objects.get(pk=mailbox.pk)
    writer.password = "7302"
    writer.save()
    assert not mailbox.reencrypt()
    assert Mailbox.objects.get(pk=mailbox.pk).password == "7302"


FIRST = os.environ["PASS_CODE_KEYS"]  # encrypts what the databases beside the suite's own hold
SECOND = base64.b64encode(NEW).decode()


@pytest.fixture
def database(databases, settings):
    """A database whose pass codes the second key shall encrypt from now on: its URL."""
    settings.PASS_CODE_KEYS = KeyRing.parse(f"{SECOND},{FIRST}")
    url = databases.copy()
    with default_database(url):
        yield url


def refusal():
    """Return what the command says as it refuses that a key is removed."""
    with pytest.raises(CommandError) as refused:
        call_command("rotate_pass_codes")
    assert refused.value.returncode == 1
    return str(refused.value)


def line(process):
    return f"\n  {process}, encrypts with {process.key}\n"


def test_old_key_may_go_once_every_process_is_restarted(database, capsys):
    with RunningProcess(database, PASS_CODE_KEYS=FIRST):
        assert "Restart them" in refusal()
    with RunningProcess(database, PASS_CODE_KEYS=f"{SECOND},{FIRST}"):
        assert ServerProcess.objects.get().key == NAMES[NEW]
        call_command("rotate_pass_codes")
    assert capsys.readouterr().out.endswith(f"Sealed with an older key: 0.\n{DONE}\n")


def test_processes_with_another_key_are_named_before_and_after(database, capsys):
    with (
        RunningProcess(database, PASS_CODE_KEYS=FIRST) as one,
        RunningProcess(database, PASS_CODE_KEYS=f"{FIRST},{SECOND}") as other,
        RunningProcess(database, PASS_CODE_KEYS=f"{SECOND},{FIRST}"),
    ):
        lagging = list(ServerProcess.objects.lagging())
        assert {process.pid for process in lagging} == {one.pid, other.pid}
        said = refusal()
    output = capsys.readouterr()
    for process in lagging:
        assert f"process {process.pid}, running since {process.started_at:%Y-%m-%d}" in line(
            process
        )
        assert line(process) in said
        assert line(process) in output.err
    assert said.count("encrypts with") == 2
    assert "may be removed" not in said + output.out
    assert set(Mailbox.counts_by_key()) == {NAMES[NEW]}


def test_process_that_was_killed_is_forgotten_after_three_minutes(database, capsys):
    with RunningProcess(database, PASS_CODE_KEYS=FIRST) as process:
        process.kill()
    assert "A process that has ended without saying so" in refusal()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=2))
    assert f"process {process.pid}," in refusal()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=4))
    call_command("rotate_pass_codes")
    assert capsys.readouterr().out.endswith(f"{DONE}\n")


def test_text_and_process_under_the_old_key_are_both_told(database):
    lost = Mailbox.objects.first()
    Mailbox.objects.filter(pk=lost.pk).update(password_sealed=KeyRing([LOST]).encrypt("8305", b""))
    with RunningProcess(database, PASS_CODE_KEYS=FIRST) as process:
        said = refusal()
    assert said.startswith(f"Still sealed with an older key: 1 (1 under {NAMES[LOST]}).\n")
    assert f"process {process.pid}," in said
