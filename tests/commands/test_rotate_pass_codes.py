"""The `rotate_pass_codes` command."""

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

from mailboxes.audio.recordings import Recording
from mailboxes.csvfiles import importing
from mailboxes.delivery.webhooks import send
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.history import HistoryPage
from mailboxes.models import (
    Authenticator,
    IdempotentAnswer,
    ImportRow,
    Mailbox,
    Message,
    RecoveryCode,
    ServerProcess,
    SoundAudio,
)
from tests.authenticator import set_up_second_factor
from tests.databases import default_database
from tests.delivery.webhooks import create_webhook
from tests.processes import RunningProcess
from tests.recordings import make_samples
from tests.sounds import create_sound

OLD, NEW, LOST = (secrets.token_bytes(KEY_BYTES) for _ in range(3))
NAMES = {key: KeyRing.make_key_id(key) for key in (OLD, NEW, LOST)}
ORDER = f"Keys in PASS_CODE_KEYS, in this order: {NAMES[NEW]}, {NAMES[OLD]}."
DONE = (
    f"Everything is encrypted with the first of PASS_CODE_KEYS, {NAMES[NEW]}. "
    "You can remove the keys after it."
)


@pytest.fixture
def mailbox(service, settings):
    """Encrypt one row of each kind with the old key, then put a new key before it."""
    ServerProcess.objects.all().delete()  # servers that other tests started have their own key
    settings.PASS_CODE_KEYS = KeyRing([OLD])
    body = {"name": "Sales", "password": "4829"}
    uuid = service.post("/voip/mailbox", body, headers={"Idempotency-Key": "k"}).result["uuid"]
    service.post("/voip/mailbox", {"name": "No pass code"})
    file = io.BytesIO(b"account,name,password\nacme,Support,7392\n")
    rosa = User.objects.create_user("rosa")
    importing.stage_file(rosa, file, "mailboxes.csv")
    set_up_second_factor(rosa)
    settings.PASS_CODE_KEYS = KeyRing([NEW, OLD])
    return Mailbox.objects.get(pk=uuid)


def rows():
    return {
        model.__name__: list(model._base_manager.order_by("pk").values())
        for model in apps.get_models()
    }


def without(column, found):
    return [{name: row[name] for name in row if name != column} for row in found]


def test_every_text_is_encrypted_with_the_new_key(mailbox, settings, capsys):
    assert KeyRing.make_key_id(OLD) in str(rows())
    call_command("rotate_pass_codes")
    assert capsys.readouterr().out == (
        f"{ORDER}\nEncrypted with an older key: 15 (15 with {NAMES[OLD]}).\n{DONE}\n"
    )
    assert KeyRing.make_key_id(OLD) not in str(rows())
    settings.PASS_CODE_KEYS = KeyRing([NEW])
    assert Mailbox.objects.get(pk=mailbox.pk).password == "4829"
    assert Mailbox.history.get(uuid=mailbox.pk).password == "4829"
    assert json.loads(IdempotentAnswer.objects.get().body)["result"]["password"] == "4829"
    assert ImportRow.objects.get().cells["password"] == "7392"
    assert len(Authenticator.objects.get().bin_key) == 20
    assert all(len(code.decrypt()) == 8 for code in RecoveryCode.objects.all())


def test_other_columns_are_unchanged(mailbox):
    before = rows()
    call_command("rotate_pass_codes")
    after = rows()
    encrypted = {
        "Mailbox": "password_sealed",
        "HistoricalMailbox": "password_sealed",
        "IdempotentAnswer": "body_sealed",
        "ImportRow": "cells_sealed",
        "AuthenticatorKey": "key_sealed",
        "RecoveryCode": "code_sealed",
    }
    for name in before:
        column = encrypted.get(name)
        assert without(column, after[name]) == without(column, before[name])
        assert not column or after[name] != before[name]


def test_recordings_play_with_the_new_key_and_are_not_written_again(mailbox, settings):
    settings.PASS_CODE_KEYS = KeyRing([OLD])
    recording = Recording(8_000, make_samples().tobytes())
    message, _ = Message.receive(mailbox, recording)
    message.transcription = "Call me back"
    message.save()
    with message.recording.open() as file:
        stored = file.read()
    settings.PASS_CODE_KEYS = KeyRing([NEW, OLD])
    call_command("rotate_pass_codes")
    settings.PASS_CODE_KEYS = KeyRing([NEW])
    message = Message.objects.get()
    assert message.read_recording() == recording.to_wav()
    assert message.transcription == "Call me back"
    with message.recording.open() as file:
        assert file.read() == stored


def test_greetings_play_with_the_new_key(account, settings):
    ServerProcess.objects.all().delete()
    settings.PASS_CODE_KEYS = KeyRing([OLD])
    sound = create_sound(account)
    original, telephone = sound.audio.read_original(), sound.audio.read_telephone()
    settings.PASS_CODE_KEYS = KeyRing([NEW, OLD])
    call_command("rotate_pass_codes")
    settings.PASS_CODE_KEYS = KeyRing([NEW])
    audio = SoundAudio.objects.get()
    assert (audio.read_original(), audio.read_telephone()) == (original, telephone)


def read_history(mailbox):
    return HistoryPage(Mailbox.objects.get(pk=mailbox.pk), size=10).changes


def test_webhooks_work_with_the_new_key(account, settings):
    settings.PASS_CODE_KEYS = KeyRing([OLD])
    endpoint = create_webhook(account)
    old = endpoint.secret
    new = endpoint.rotate()
    delivery = send(endpoint, "mailbox.updated", {"name": "Sales"})
    settings.PASS_CODE_KEYS = KeyRing([NEW, OLD])
    call_command("rotate_pass_codes")
    settings.PASS_CODE_KEYS = KeyRing([NEW])
    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert endpoint.signing_secrets == [new, old]
    assert '"name":"Sales"' in delivery.content["body"]
    assert endpoint.version == 2


def test_new_key_is_no_change_of_the_pass_code(service, mailbox):
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"name": "Support"})
    before = read_history(mailbox)
    call_command("rotate_pass_codes")
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": False})
    changes = read_history(mailbox)
    assert changes[1:] == before
    assert changes[0].after == {"beep": False}


def test_second_run_changes_nothing(mailbox, capsys):
    call_command("rotate_pass_codes")
    before = rows()
    call_command("rotate_pass_codes")
    assert rows() == before
    assert capsys.readouterr().out.endswith(f"Encrypted with an older key: 0.\n{DONE}\n")


def test_text_that_no_key_decrypts_is_named_and_the_rest_is_done(mailbox, account, capsys):
    lost = Mailbox(account=account, name="Lost")
    lost.password_sealed = KeyRing([LOST]).encrypt("8305", lost.owner)
    broken = Mailbox(account=account, name="Broken", password_sealed="8305")
    Mailbox.objects.bulk_create([lost, broken])
    with pytest.raises(CommandError, match=r"^Still encrypted with an older key: 2 ") as refusal:
        call_command("rotate_pass_codes")
    assert f"1 with {NAMES[LOST]}" in str(refusal.value)
    assert "1 with ?" in str(refusal.value)
    assert refusal.value.returncode == 1
    reported = capsys.readouterr().err.splitlines()
    assert sorted(reported) == sorted(
        f"No key in PASS_CODE_KEYS can decrypt mailbox {row.pk} (key {key})."
        for row, key in ((lost, NAMES[LOST]), (broken, "?"))
    )
    assert Mailbox.objects.get(pk=lost.pk).password_sealed == lost.password_sealed
    assert Mailbox.objects.get(pk=broken.pk).password_sealed == "8305"
    assert Mailbox.objects.get(pk=mailbox.pk).password_sealed.startswith(KeyRing.make_key_id(NEW))


def test_pass_code_set_meanwhile_is_kept(mailbox):
    writer = Mailbox.objects.get(pk=mailbox.pk)
    writer.password = "7302"
    writer.save()
    assert not mailbox.reencrypt()
    assert Mailbox.objects.get(pk=mailbox.pk).password == "7302"


FIRST = os.environ["PASS_CODE_KEYS"]  # the key of the databases of `tests.databases`
SECOND = base64.b64encode(NEW).decode()


@pytest.fixture
def database(databases, settings):
    """Return the URL of a filled database, with the second key now first in the settings."""
    settings.PASS_CODE_KEYS = KeyRing.parse(f"{SECOND},{FIRST}")
    url = databases.copy()
    with default_database(url):
        yield url


def refusal():
    """Run `rotate_pass_codes`, which must fail, and return its error."""
    with pytest.raises(CommandError) as refused:
        call_command("rotate_pass_codes")
    assert refused.value.returncode == 1
    return str(refused.value)


def line(process):
    return f"\n  {process}, encrypts with {process.key}\n"


def test_old_key_can_be_removed_once_every_process_is_restarted(database, capsys):
    with RunningProcess(database, PASS_CODE_KEYS=FIRST):
        assert "Restart them" in refusal()
    with RunningProcess(database, PASS_CODE_KEYS=f"{SECOND},{FIRST}"):
        assert ServerProcess.objects.get().key == NAMES[NEW]
        call_command("rotate_pass_codes")
    assert capsys.readouterr().out.endswith(f"Encrypted with an older key: 0.\n{DONE}\n")


@pytest.mark.long
def test_processes_with_another_key_are_named_before_and_after_the_rotation(database, capsys):
    with (
        RunningProcess(database, PASS_CODE_KEYS=FIRST) as one,
        RunningProcess(database, PASS_CODE_KEYS=f"{FIRST},{SECOND}") as other,
        RunningProcess(database, PASS_CODE_KEYS=f"{SECOND},{FIRST}"),
    ):
        lagging = list(ServerProcess.objects.lagging())
        assert {process.pid for process in lagging} == {one.pid, other.pid}
        error = refusal()
    output = capsys.readouterr()
    for process in lagging:
        assert f"process {process.pid}, running since {process.started_at:%Y-%m-%d}" in line(
            process
        )
        assert line(process) in error
        assert line(process) in output.err
    assert error.count("encrypts with") == 2
    assert "You can remove" not in error + output.out
    assert set(Mailbox.counts_by_key()) == {NAMES[NEW]}


def test_process_that_was_killed_is_forgotten_after_three_minutes(database, capsys):
    with RunningProcess(database, PASS_CODE_KEYS=FIRST) as process:
        process.kill()
    assert "A process that was killed is listed" in refusal()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=2))
    assert f"process {process.pid}," in refusal()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=4))
    call_command("rotate_pass_codes")
    assert capsys.readouterr().out.endswith(f"{DONE}\n")


def test_text_and_process_with_the_old_key_are_both_reported(database):
    lost = Mailbox.objects.first()
    Mailbox.objects.filter(pk=lost.pk).update(password_sealed=KeyRing([LOST]).encrypt("8305", b""))
    with RunningProcess(database, PASS_CODE_KEYS=FIRST) as process:
        error = refusal()
    assert error.startswith(f"Still encrypted with an older key: 1 (1 with {NAMES[LOST]}).\n")
    assert f"process {process.pid}," in error
