"""Hand in a thousand messages at once, and measure mails, transcriptions and other calls.

`make burst` runs the real server, one worker, a mail server that counts, and Whisper if it is
installed, on SQLite and, if its programs are on this machine, PostgreSQL. Each message is spoken,
and each mailbox has one recipient. Meanwhile a program of another account gets a mailbox twenty
times a second. The exit status is 1 if its median latency more than doubled in any part of the time
after the uploads. MESSAGES sets another number, and DATABASE=sqlite or postgresql chooses one.
"""

import logging
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402

from mailboxes.models import Account, Mailbox, Message  # noqa: E402
from tests.benchmarks.calling import Call, RegularCaller, select_latencies  # noqa: E402
from tests.databases import default_database, headers_for, prepare  # noqa: E402
from tests.delivery.running import RunningWorker  # noqa: E402
from tests.delivery.smtp import Mailman  # noqa: E402
from tests.delivery.spoken import SENTENCES, record_call  # noqa: E402
from tests.postgres import PrivatePostgres  # noqa: E402
from tests.recordings import make_form  # noqa: E402
from tests.requirements import postgres_programs  # noqa: E402
from tests.server import Server  # noqa: E402
from tests.service import OverSocket  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", "1000"))
DATABASE = os.environ.get("DATABASE", "")
MAILBOXES = 20
CLIENTS = 4
SENTENCES_EACH = 3  # about ten seconds
QUIET_SECONDS = 10  # before the messages
MORE_SECONDS = 60  # of transcriptions, at most, after the last mail
STUCK_SECONDS = 300  # without any mail
MOST = 2  # times the median latency before
MIN_CALLS = 20  # for a median
TICKS = os.sysconf("SC_CLK_TCK")


class CountingMailman(Mailman):
    """A mail server that notes when it had each mail."""

    def __init__(self):
        super().__init__()
        self.arrivals: list[float] = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.arrivals.append(time.monotonic())
        return await super().handle_DATA(server, session, envelope)


class RealWorker(RunningWorker):
    """The worker as operators start it."""

    def command(self):
        return [sys.executable, "manage.py", "work"]


def main() -> int:
    logging.disable()
    programs = postgres_programs()
    postgres = PrivatePostgres(programs) if programs else None
    folder = tempfile.TemporaryDirectory(dir=settings.BASE_DIR / "var")
    ratios = []
    with folder, postgres or nullcontext():
        urls = {"sqlite": f"sqlite:///{folder.name}/mailboxes.sqlite3"}
        if postgres:
            urls["postgresql"] = postgres.create("burst")
        if DATABASE and DATABASE not in urls:
            sys.exit(f"DATABASE is {DATABASE!r}. Possible here: {', '.join(urls)}.")
        for database in [DATABASE] if DATABASE else urls:
            print(f"\n{database}, {MESSAGES:,} messages\n", flush=True)
            ratios.append(measure(urls[database], Path(folder.name, database)))
    return max(ratios) > MOST


def measure(url: str, recordings: Path) -> float:
    """Print the figures on this database, and return the highest ratio that is limited."""
    transcribes = find_spec("faster_whisper") is not None
    uploader, reader, mailboxes, read = create_mailboxes(url)
    forms = make_forms()
    with CountingMailman() as mailman:
        environment = {
            "EMAIL_URL": mailman.url,
            "RECORDINGS_DIR": str(recordings),
            "TRANSCRIBER": "whisper" if transcribes else "",
        }
        with (
            Server(url, **environment) as server,
            RealWorker(url, **environment) as worker,
            RegularCaller(server.port, reader, read) as caller,
        ):
            cpu = read_cpu_times(server, worker)
            quiet = time.monotonic()
            time.sleep(QUIET_SECONDS)
            start = time.monotonic()
            refused = upload(server.port, uploader, mailboxes, forms)
            uploaded = time.monotonic()
            wait_for_mails(mailman)
            mailed = time.monotonic()
            if transcribes:
                wait_for_transcriptions(url)
            end = time.monotonic()
            used = {name: now - cpu[name] for name, now in read_cpu_times(server, worker).items()}
            calls = caller.stop()
            transcribed = MESSAGES - count_waiting(url)
    # Until then, mails wait for transcriptions, and few go out.
    due = (
        min(max(uploaded, start + settings.MAIL_WAIT_SECONDS), mailed) if transcribes else uploaded
    )
    print(f"Uploads took {uploaded - start:.1f} s; {refused} were refused and sent again.")
    print(f"The last mail was out {mailed - start:.1f} s after the first upload began.")
    if transcribes:
        rate = transcribed / (end - start) * 60
        print(f"{transcribed:,} messages were transcribed, {rate:.1f} a minute.")
    times = ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items())
    print(f"CPU seconds, within {end - quiet:.0f} s: {times}.\n")
    return print_latencies(
        calls,
        {
            "before": (quiet, start),
            "(uploads)": (start, uploaded),
            "mails wait": (uploaded, due),
            "mails go out": (due, mailed),
            "transcriptions go on": (mailed, end),
        },
    )


def create_mailboxes(url: str) -> tuple[dict, dict, list[str], str]:
    """Migrate, and return the headers and mailboxes' paths of the uploads, and of other calls.

    In the order: headers of the uploads, of the others, paths for messages, path for the others.
    """
    uploader = prepare(url)
    with default_database(url):
        other = Account.objects.create(name="other")
        read = Mailbox.objects.create(account=other, name="Sales")
        account, paths = Account.objects.get(name="acme"), []
        for number in range(MAILBOXES):
            mailbox = Mailbox.objects.create(account=account, name=f"Box {number}", transcribe=True)
            mailbox.add_recipient(f"ann{number}@example.com")
            paths.append(f"/voip/mailbox/{mailbox.pk}/messages")
        return uploader, headers_for(other), paths, f"/voip/mailbox/{read.pk}"


def make_forms() -> list[dict]:
    texts = [
        " ".join(SENTENCES[first : first + SENTENCES_EACH])
        for first in range(0, len(SENTENCES), SENTENCES_EACH)
    ]
    return [make_form(record_call(text).to_wav()) for text in texts]


def upload(port: int, headers: dict, paths: list[str], forms: list[dict]) -> int:
    """Hand in all messages as fast as the service takes them, and return how many it refused."""

    def run_client(first: int) -> int:
        refused = 0
        with closing(OverSocket(headers, port)) as program:
            for number in range(first, MESSAGES, CLIENTS):
                form, path = forms[number % len(forms)], paths[number % len(paths)]
                while (answer := program.post(path, **form)).status in (429, 503):
                    time.sleep(float(answer.headers["retry-after"]))
                    refused += 1
                assert answer.status == 201, answer.body
        return refused

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(run_client, range(CLIENTS)))


def wait_for_mails(mailman: CountingMailman) -> None:
    started = time.monotonic()
    while len(mailman.arrivals) < MESSAGES:
        if time.monotonic() - max([started, *mailman.arrivals[-1:]]) > STUCK_SECONDS:
            sys.exit(f"Only {len(mailman.arrivals)} of {MESSAGES} mails were sent.")
        time.sleep(0.05)


def wait_for_transcriptions(url: str) -> None:
    deadline = time.monotonic() + MORE_SECONDS
    while count_waiting(url) and time.monotonic() < deadline:
        time.sleep(1)


def count_waiting(url: str) -> int:
    with default_database(url):
        return Message.waiting().count()


def read_cpu_times(server: Server, worker: RealWorker) -> dict[str, float]:
    """Return the CPU seconds so far, also of processes that have ended."""
    own, ended = read_stat(worker.process.pid)
    whisper = ended + sum(map(read_tree, list_children(worker.process.pid)))
    return {"server": read_tree(server.process.pid), "worker": own, "transcriptions": whisper}


def read_tree(pid: int) -> float:
    """Return the CPU seconds of the process and its descendants; 0 if it has ended meanwhile."""
    try:
        return sum(read_stat(pid)) + sum(map(read_tree, list_children(pid)))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def read_stat(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of the process, and those of its children that have ended."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    user, system, user_of_ended, system_of_ended = map(int, numbers)
    return (user + system) / TICKS, (user_of_ended + system_of_ended) / TICKS


def list_children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in threads for child in path.read_text().split()]


def print_latencies(calls: list[Call], parts: dict[str, tuple[float, float]]) -> float:
    """Print a table, and return the highest ratio of the parts that are limited."""
    print("| the program's calls | seconds | median, ms | 99 of 100, ms | ratio of medians |")
    print("|---|---:|---:|---:|---:|")
    first, highest = 0.0, 0.0
    for name, (start, end) in parts.items():
        latencies = select_latencies(calls, start, end)
        if len(latencies) < MIN_CALLS:
            continue
        median, most = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
        first = first or median
        ratio = median / first
        if not name.startswith("("):
            highest = max(highest, ratio)
        print(
            f"| {name} | {end - start:.0f} | {median:.1f} | {most:.1f} | {ratio:.2f} |", flush=True
        )
    return highest


if __name__ == "__main__":
    sys.exit(main())
