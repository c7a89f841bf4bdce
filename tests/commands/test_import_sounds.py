"""import_sounds: takes files in, skips those that are here, and says which it refuses."""

import io
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from mailboxes.models import Mailbox, Sound
from tests.engines.sound import write_tone

pytestmark = pytest.mark.usefixtures("recordings_folder")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    return folder


def add_file(folder) -> UUID:
    uuid = uuid4()
    write_tone(folder / f"{uuid}.wav", 660, seconds=1)
    return uuid


def run(folder, *options) -> tuple[str, str]:
    """Return what the command writes, and its errors."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_sounds", "acme", folder, *options, stdout=out, stderr=err)
    except CommandError as error:
        err.write(str(error))
    return out.getvalue(), err.getvalue()


def test_files_become_sounds_of_the_same_uuid(account, folder):
    used, unused = add_file(folder), add_file(folder)
    Mailbox.objects.create(account=account, name="Reception", greeting=used)
    out, err = run(folder, "--shared")
    assert "2 files taken in, 0 were here already, 0 refused." in out
    assert not err
    assert Sound.objects.get(pk=used).name == "Reception"
    sound = Sound.objects.get(pk=unused)
    assert (sound.account, sound.name, sound.shared) == (account, str(unused), True)
    assert (sound.file_name, sound.audio.duration) == (f"{unused}.wav", 1)
    assert len(list(folder.iterdir())) == 2


def test_name_of_another_accounts_mailbox_is_not_used(account, stranger, folder):
    uuid = add_file(folder)
    Mailbox.objects.create(account=stranger, name="Secret", greeting=uuid)
    out, _err = run(folder)
    assert "Secret" not in out
    assert Sound.objects.get().name == str(uuid)


def test_second_run_takes_only_what_is_new(account, folder):
    add_file(folder)
    run(folder)
    add_file(folder)
    out, _err = run(folder)
    assert "1 files taken in, 1 were here already, 0 refused." in out
    assert Sound.objects.count() == 2


def test_dry_run_takes_nothing_in(account, folder):
    add_file(folder)
    out, _err = run(folder, "--dry-run")
    assert "1 files would be taken in" in out
    assert not Sound.objects.exists()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("hello.wav", None, "hello.wav: "),
        (f"{UUID(int=1)}.wav", b"no audio", "Send a recording as WAV"),
        (f"{UUID(int=1)}.wav", b"RIFF" + bytes(20 * 2**20), "more than 20 MiB"),
    ],
)
def test_other_file_is_refused_and_the_rest_taken_in(account, folder, name, content, text):
    uuid = add_file(folder)
    if content is None:
        write_tone(folder / name, 660, seconds=1)
    else:
        (folder / name).write_bytes(content)
    _out, err = run(folder)
    assert text in err
    assert "1 files taken in, 0 were here already, 1 refused." in err
    assert [sound.pk for sound in Sound.objects.all()] == [uuid]


def test_unknown_account_is_refused(db, folder):
    assert run(folder)[1] == "There is no account “acme”."


def test_missing_folder_is_refused(account, tmp_path):
    assert "The folder cannot be read" in run(tmp_path / "none")[1]
