"""The commands `backup` and `restore`, for recordings in a folder."""

import re
import shutil
import subprocess
from zipfile import ZIP_STORED, ZipFile

import pytest
from django.core.management import CommandError, call_command

from mailboxes.audio.recordings import Recording
from mailboxes.backups import archive
from mailboxes.backups.recordings import FOLDER
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Account, Mailbox, Message, Sound
from mailboxes.storage import recordings_store
from tests.databases import default_database
from tests.recordings import make_samples, make_wav
from tests.sounds import create_sound, make_greeting


@pytest.fixture(autouse=True)
def store(recordings_folder):
    return recordings_folder


@pytest.fixture
def backup(tmp_path):
    return tmp_path / "mailboxes.backup"


def add_message(tone=440) -> Message:
    recording = Recording(8_000, make_samples(tone=tone).tobytes())
    message, _ = Message.receive(Mailbox.objects.active().first(), recording)
    return message


def fill(databases, tones) -> str:
    """Return the URL of a database with a message of each of these tones."""
    url = databases.copy()
    with default_database(url):
        for tone in tones:
            add_message(tone)
    return url


def run(url, command, *arguments):
    with default_database(url):
        call_command(command, *map(str, arguments))


def fail(url, command, *arguments) -> str:
    with pytest.raises(CommandError) as failed:
        run(url, command, *arguments)
    return str(failed.value)


def read_recordings(url) -> set[bytes]:
    with default_database(url):
        return {message.read_recording() for message in Message.objects.all()}


def list_files(store) -> dict:
    files = (path for path in store.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def damage(backup, name_end):
    """Change a byte of a file in the backup, with checksums of the archive that match."""
    with ZipFile(backup) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in contents if name.endswith(name_end))
    contents[name] = contents[name][:-1] + bytes([contents[name][-1] ^ 1])
    with ZipFile(backup, "w", ZIP_STORED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
        file.comment = bytes(archive.DIGEST_LENGTH)
    archive.write_digest(backup)


def remove_after_first_dump(monkeypatch, databases, remove):
    """Call `remove` after the first snapshot of a backup, and before recordings are copied."""
    engine = archive.ENGINES[databases.engine]
    dump, calls = engine.dump, []

    def dump_and_remove(self, path):
        snapshot = dump(self, path)
        calls.append(path)
        if len(calls) == 1:
            remove()
        return snapshot

    monkeypatch.setattr(engine, "dump", dump_and_remove)


def test_recordings_are_restored(databases, store, backup, capsys):
    tones = (440, 550, 660)
    url = fill(databases, tones)
    run(url, "backup", backup)
    assert re.search(r"verified: \d+ rows in \d+ tables, 3 recordings\.", capsys.readouterr().out)
    before = list_files(store)
    shutil.rmtree(store)
    store.mkdir()
    empty = databases.empty()
    run(empty, "restore", backup)
    assert list_files(store) == before
    assert read_recordings(empty) == {make_wav(tone=tone) for tone in tones}
    assert capsys.readouterr().err == ""


def test_recordings_can_be_checked_without_this_service(databases, backup, tmp_path):
    run(fill(databases, [440, 550]), "backup", backup)
    ZipFile(backup).extractall(tmp_path / "all")
    check = ["sha256sum", "--check", "--strict", "recordings.sha256"]
    done = subprocess.run(check, cwd=tmp_path / "all", capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(": OK")) == (0, 2)


def test_recording_removed_during_the_backup_is_not_missing(
    databases, store, backup, monkeypatch, capsys
):
    url = fill(databases, [440, 550])
    with default_database(url):
        removed = Message.objects.order_by("pk").first()

        def remove():
            Message.objects.filter(pk=removed.pk).delete()
            add_message(660)

        remove_after_first_dump(monkeypatch, databases, remove)
        call_command("backup", str(backup))
    kept = read_recordings(url)
    assert len(kept) == 2
    empty = databases.empty()
    shutil.rmtree(store)
    run(empty, "restore", backup)
    assert read_recordings(empty) == kept
    assert removed.recording.name not in {
        str(path.relative_to(store)) for path in list_files(store)
    }


def test_missing_recording_is_reported_and_everything_else_is_backed_up(databases, backup, capsys):
    url = fill(databases, [440, 550])
    with default_database(url):
        message = Message.objects.first()
        recordings_store().delete(message.recording.name)
    error = fail(url, "backup", backup)
    assert error.endswith(f"1 recordings are not in the store: {message.pk.hex}.")
    empty = databases.empty()
    run(empty, "restore", backup)
    assert message.pk.hex in capsys.readouterr().err
    with default_database(empty):
        assert Message.objects.count() == 2
        assert len(Message.objects.exclude(pk=message.pk).get().read_recording()) > 1000


def test_damaged_recording_in_a_backup_is_refused(databases, store, backup):
    url = fill(databases, [440])
    with default_database(url):
        name = Message.objects.get().recording.name
    run(url, "backup", backup)
    before = list_files(store)
    damage(backup, name)
    error = fail(url, "restore", backup, "--replace")
    assert error == f"The recording {name} does not match its checksum."
    assert list_files(store) == before


def test_backup_that_lacks_a_recording_is_refused(databases, backup):
    run(fill(databases, [440, 550]), "backup", backup)
    with ZipFile(backup) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    (first, *_) = lines = contents["recordings.sha256"].splitlines(keepends=True)
    contents["recordings.sha256"] = b"".join(lines[1:])
    del contents[first.decode().split()[1]]
    with ZipFile(backup, "w", ZIP_STORED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
        file.comment = bytes(archive.DIGEST_LENGTH)
    archive.write_digest(backup)
    assert fail(databases.empty(), "restore", backup) == "The backup has 1 of 2 recordings."


def test_refused_restore_changes_no_file(databases, store, backup):
    run(fill(databases, [440]), "backup", backup)
    for path in list_files(store):
        path.write_bytes(b"other")
    assert "is not empty" in fail(databases.filled, "restore", backup)
    assert set(list_files(store).values()) == {b"other"}


def test_failed_restore_leaves_the_recordings_of_the_present_data(
    databases, store, backup, monkeypatch
):
    url = fill(databases, [440])
    run(url, "backup", backup)
    with default_database(url):
        Message.objects.all().delete()
        add_message(550)
    monkeypatch.setattr(archive, "restore_recordings", lambda file: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(url, "restore", backup, "--replace")
    assert read_recordings(url) == {make_wav(tone=550)}


def test_recordings_of_replaced_data_are_left_for_purge_deleted(databases, store, backup):
    url = fill(databases, [440])
    run(url, "backup", backup)
    with default_database(url):
        Message.objects.all().delete()
        replaced = add_message(550)
    run(url, "restore", backup, "--replace")
    assert read_recordings(url) == {make_wav(tone=440)}
    assert (store / replaced.recording.name).exists()


def test_backup_is_refused_without_the_keys_of_its_messages(databases, backup, settings):
    old, new = (KeyRing([bytes([number]) * KEY_BYTES]) for number in (1, 2))
    settings.PASS_CODE_KEYS = old
    url = fill(databases, [440])
    run(url, "backup", backup)
    settings.PASS_CODE_KEYS = new
    error = fail(databases.empty(), "restore", backup)
    assert old.current in error
    assert FOLDER in "".join(ZipFile(backup).namelist())


def test_backup_has_both_forms_of_a_sound(databases, store, backup):
    url = databases.copy()
    with default_database(url):
        sound = create_sound(Account.objects.first())
    run(url, "backup", backup)
    shutil.rmtree(store)
    run(url, "restore", backup, "--replace")
    with default_database(url):
        audio = Sound.objects.get(pk=sound.pk).audio
        forms = audio.read_original(), audio.read_telephone()
    assert [Recording.from_wav(form) for form in forms] == list(make_greeting())
