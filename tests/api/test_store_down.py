"""A store of recordings that is full, or has lost recordings: callers get 503."""

import subprocess

import pytest

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Mailbox, Message
from mailboxes.storage import recordings_store
from tests import requirements
from tests.recordings import make_form, make_wav

WAV = make_wav()
PAGES = 4  # of 4 KiB: less than the recording needs


@pytest.fixture
def path(account):
    return f"/voip/mailbox/{Mailbox.objects.create(account=account, name='Sales').uuid}/messages"


@pytest.fixture
def full_disk(recordings_folder):
    """Mount a disk with too little room on the folder of recordings."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={PAGES * 4}k", "tmpfs", recordings_folder]
    if not requirements.can_make_namespaces() or subprocess.run(mount, check=False).returncode:
        requirements.skip_or_fail("network", "A disk of a test needs root and mount.")
    yield recordings_folder
    subprocess.run(["umount", recordings_folder], check=True)


def assert_unavailable(answer, text):
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert text in answer.body.decode()


def list_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_full_disk_is_503_and_nothing_is_left(service, path, full_disk):
    answer = service.post(path, **make_form(WAV))
    assert_unavailable(answer, "The recording cannot be stored: try again later.")
    assert not Message.objects.exists()
    assert list_files(full_disk) == []


@pytest.mark.parametrize("spoil", ["remove", "change", "key"])
def test_recording_that_cannot_be_read_is_503(service, path, spoil, settings, recordings_folder):
    uuid = service.post(path, **make_form(WAV)).result["uuid"]
    name = str(Message.objects.get().recording.name)
    match spoil:
        case "remove":
            recordings_store().delete(name)
        case "change":
            (recordings_folder / name).write_bytes(b"\x00" * 1000)
        case "key":
            settings.PASS_CODE_KEYS = KeyRing([bytes(KEY_BYTES)])
    answer = service.get(f"{path}/{uuid}/recording")
    assert_unavailable(answer, "The recording cannot be read: try again later.")
    assert service.get(f"{path}/{uuid}").status == 200
