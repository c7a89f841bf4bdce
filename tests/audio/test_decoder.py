"""The child process that decodes has no rights, is replaced, and ends with its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from mailboxes.audio import decoder as decoder_module
from mailboxes.audio.decoder import Decoder
from mailboxes.audio.decoding import UnusableAudioError
from mailboxes.models import Mailbox
from tests.audio.encoding import encode_tone
from tests.recordings import make_form
from tests.server import ROOT, until

WAV = encode_tone("wav 16 bit")

# Attempts of code that runs in the child, printed as the errors that they end with.
ATTACKS = """
import os, socket, subprocess, sys
from mailboxes.audio.decoding import limit_process

limit_process()

def attempt(action):
    try:
        action()
    except OSError as error:
        print(type(error).__name__, error.errno)
    else:
        print("done")

attempt(lambda: open("/etc/hostname"))
attempt(lambda: open("/tmp/decoder", "w"))
attempt(lambda: os.listdir("."))
attempt(lambda: socket.socket())
attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
attempt(lambda: subprocess.run(["/bin/true"]))
print(sorted(os.environ))
"""
# A parent that has a decoder, and decodes once.
PARENT = """
import django, sys
django.setup()
from mailboxes.audio.decoder import decoder
decoder.decode(sys.stdin.buffer.read())
print(decoder.process.pid, flush=True)
import time
time.sleep(600)
"""


@pytest.fixture
def decoder():
    decoder = Decoder()
    yield decoder
    decoder.stop()


def is_running(pid) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_child_opens_no_file_and_no_connection():
    command = [sys.executable, "-c", ATTACKS, "9"]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
    *attempts, program, environment = done.stdout.splitlines()
    assert attempts == ["OSError 24"] * 5  # EMFILE
    assert program.startswith("OSError")
    assert set(eval(environment)) <= {"LC_CTYPE"}  # set by Python itself


def test_child_has_no_secret_and_no_open_file(decoder):
    decoder.decode(WAV)
    process = Path(f"/proc/{decoder.process.pid}")
    assert (process / "environ").read_bytes() == b""
    assert sorted(path.name for path in (process / "fd").iterdir()) == ["0", "1", "2"]
    limits = (process / "limits").read_text()
    assert "Max open files            3                    3" in limits
    assert "Max file size             0                    0" in limits


def test_child_is_started_once(decoder):
    decoder.decode(WAV)
    first = decoder.process
    for recording in (b"no audio", WAV):
        try:
            decoder.decode(recording)
        except UnusableAudioError:
            continue
    assert decoder.process is first


def test_child_that_dies_is_replaced(decoder):
    whole = decoder.decode(WAV)
    first = decoder.process
    first.kill()
    assert decoder.decode(WAV) == whole
    assert decoder.process is not first
    assert first.returncode == -signal.SIGKILL


def test_child_that_dies_at_work_is_replaced(decoder):
    whole = decoder.decode(WAV)
    first = decoder.process
    first.send_signal(signal.SIGSTOP)
    results = []
    thread = Thread(target=lambda: results.append(decoder.decode(WAV)))
    thread.start()
    first.kill()
    thread.join()
    assert results == [whole]


def test_child_that_takes_too_long_is_ended(decoder, monkeypatch):
    decoder.decode(WAV)
    first = decoder.process
    first.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(decoder_module, "TIME_LIMIT", 0.2)
    with pytest.raises(UnusableAudioError):
        decoder.decode(WAV)
    monkeypatch.undo()
    assert first.returncode == -signal.SIGKILL
    assert decoder.decode(WAV).seconds == 2


def test_sender_tries_again_if_no_child_starts(service, account, monkeypatch):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    program = decoder_module.decoder
    program.stop()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        answer = service.post(f"/voip/mailbox/{mailbox.uuid}/messages", **make_form(WAV))
    assert answer.status == 503
    answer = service.post(f"/voip/mailbox/{mailbox.uuid}/messages", **make_form(WAV))
    assert answer.status == 201


def test_child_ignores_ctrl_c_and_a_polite_end(decoder):
    whole = decoder.decode(WAV)
    first = decoder.process
    for number in (signal.SIGINT, signal.SIGTERM):
        first.send_signal(number)
    assert decoder.decode(WAV) == whole
    assert decoder.process is first


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_with_its_parent(number):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        parent.stdin.write(WAV)
        parent.stdin.close()
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.send_signal(number)
    until(lambda: not is_running(child))
