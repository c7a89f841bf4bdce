"""Compare the upload of a message with the work that it cannot avoid.

`python -m tests.benchmarks.uploads` prints the CPU time of encoding a recording of 30 seconds as it
is kept, with its waveform, and encrypting it; and the CPU time of its upload, through all
middleware, to a folder and a SQLite database on disk. Its exit status is 1 if an upload takes over
twice as much.
"""

import logging
import os
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.test import Client  # noqa: E402

from mailboxes.audio.decoder import decoder  # noqa: E402
from mailboxes.encryption import Cipher  # noqa: E402
from mailboxes.models import Account, Mailbox, Message  # noqa: E402
from tests.audio.encoding import encode_tone  # noqa: E402
from tests.databases import default_database, headers_for, prepare  # noqa: E402
from tests.recordings import make_form  # noqa: E402
from tests.service import Answer, FastPathHandler, InProcess  # noqa: E402

SECONDS = 30
ROUNDS = 40
MOST = 2
FORMATS = [("wav 16 bit", 8_000), ("wav µ-law", 8_000), ("wav 16 bit", 16_000), ("mp3", 16_000)]
FORMATS += [("ogg opus", 48_000), ("flac", 44_100), ("webm", 48_000), ("m4a", 44_100)]


class Cost(NamedTuple):
    """Milliseconds of a call: of CPU, in this process and the decoder, and until its end."""

    cpu: float
    elapsed: float


def measure_cost(function) -> Cost:
    """Return the average CPU time of many calls, and the least time that one took."""
    function()
    start, times = read_cpu_seconds(), []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return Cost((read_cpu_seconds() - start) / ROUNDS * 1000, min(times) * 1000)


def read_cpu_seconds() -> float:
    stat = Path(f"/proc/{decoder.get_process().pid}/stat").read_text()
    ticks = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    logging.disable()
    print(
        f"| {SECONDS} s of audio | encode and encrypt, ms CPU | upload | ratio | elapsed, ms | upload |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=settings.BASE_DIR / "var") as folder:
        settings.STORAGES["recordings"]["OPTIONS"]["location"] = Path(folder)
        url = f"sqlite:///{folder}/mailboxes.sqlite3"
        prepare(url)
        with default_database(url):
            account = Account.objects.get()
            program = Program(headers_for(account, "bench"))
            mailbox = Mailbox.objects.create(account=account, name="Sales")
            path = f"/voip/mailbox/{mailbox.uuid}/messages"
            ratios = [measure(program, path, *form) for form in FORMATS]
    return max(ratios) > MOST


class Program(InProcess):
    """A caller of a service that loads its middleware once."""

    @cached_property
    def client(self):
        client = Client(SERVER_NAME="localhost")
        client.handler = FastPathHandler()
        return client

    def send(self, method, path, body, headers):
        content_type = headers.pop("Content-Type")
        answer = self.client.generic(method, path, body, content_type, headers=headers)
        return Answer(answer.status_code, {}, answer.getvalue())


def measure(program, path, encoder, rate) -> float:
    """Print a row of the table, and return the ratio."""
    data = encode_tone(encoder, rate, seconds=SECONDS)
    form = make_form(data)
    least = measure_cost(lambda: encrypt(data))
    upload = measure_cost(lambda: check(program.post(path, **form)))
    Message.objects.all().delete()
    ratio = upload.cpu / least.cpu
    cells = [f"{least.cpu:.1f}", f"{upload.cpu:.1f}", f"{ratio:.2f}"]
    cells += [f"{least.elapsed:.1f}", f"{upload.elapsed:.1f}"]
    print(f"| {encoder}, {rate:,} Hz | {' | '.join(cells)} |", flush=True)
    return ratio


def encrypt(data):
    recording = decoder.decode(data)
    recording.compute_peaks()
    return Cipher.create().encrypt(recording.to_wav(), b"owner")


def check(answer):
    assert answer.status == 201


if __name__ == "__main__":
    sys.exit(main())
