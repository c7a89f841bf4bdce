"""Where the time of a call goes, and what each feature takes of it: `make bench` prints both.

A profiler makes Python's own functions look slower than they are, and leaves what is written in C as
it is: the first table says where to look, not how much there is to gain. To wait for the database
is part of SQL. The second table is measured without a profiler, each feature switched off in turn;
a few percent are chance.
"""

import cProfile
import os
import pstats
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from mailboxes.api import fastpath  # noqa: E402
from mailboxes.api.throttling import CredentialThrottle  # noqa: E402
from mailboxes.api.views import AccountViewSet, Command  # noqa: E402
from mailboxes.keyring import KeyRing  # noqa: E402
from mailboxes.middleware import RequestLog  # noqa: E402
from mailboxes.models import Account  # noqa: E402
from mailboxes.statements import RecordedWrites, cursor_of  # noqa: E402
from tests.benchmarks.calls import READS, WRITES, Caller, listed  # noqa: E402
from tests.benchmarks.filling import boxes, fill  # noqa: E402
from tests.benchmarks.straight import log_to_nobody  # noqa: E402
from tests.databases import default_database  # noqa: E402
from tests.parts import postgres_programs  # noqa: E402
from tests.postgres import PrivatePostgres  # noqa: E402

PROFILED = 200  # calls
ROUNDS, CALLS_OF_ROUND = 60, 10

# By what stands in a function's file or name; the first that fits.
KINDS = {
    "SQL": ["psycopg", "sqlite3", "/django/db/backends/"],
    "JSON": ["orjson"],
    "pass codes": ["/cryptography/", "keyring.py", "AESGCM"],
    "log": ["/logging/", "/mailboxes/logs.py"],
    "DRF": ["/rest_framework/"],
    "Django": ["/django/", "simple_history"],
    "our own": ["/mailboxes/", "/config/"],
}
OTHERS = "Python"


def main():
    log_to_nobody()
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres, default_database(postgres.url()):
        call_command("migrate", verbosity=0)
        fill(200, 20)
        calls = calls_of(account_of(20), account_of(20), account_of(1000))
        table("percent of the time", [*KINDS, OTHERS])
        for name, call in calls.items():
            shares = profiled(call)
            row(name, *(percent(shares[kind]) for kind in [*KINDS, OTHERS]))
        print()
        table("percent it takes", [*FEATURES, "of milliseconds"])
        for name, call in calls.items():
            whole, *without = compared(call)
            row(name, *(percent(1 - took / whole) for took in without), f"{whole * 1000:.2f}")


def account_of(size) -> Account:
    """One more account, of so many mailboxes."""
    account = Account.objects.create(name=f"more-{Account.objects.count()}")
    account.mailboxes.bulk_create(box for number in range(size) for box in boxes([account], number))
    return account


def calls_of(read, written, long) -> dict:
    """By name, what makes a call. What is written makes no list longer that is read."""
    made = {"list of 1,000": partial(listed, Caller(long))}
    for calls, account in ((READS, read), (WRITES, written)):
        caller = Caller(account)
        made |= {name: partial(call, caller) for name, call in calls.items()}
    return made


def profiled(call) -> dict[str, float]:
    """The share of each kind of code. What is built into Python is its caller's."""
    call()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(PROFILED):
        call()
    profiler.disable()
    seconds = dict.fromkeys([*KINDS, OTHERS], 0.0)
    for function, (_, _, own, _, callers) in pstats.Stats(profiler).stats.items():
        kind = kind_of(function)
        if kind != OTHERS or not callers:
            seconds[kind] += own
            continue
        for caller, (_, _, own_for_caller, _) in callers.items():
            seconds[kind_of(caller)] += own_for_caller
    whole = sum(seconds.values())
    return {kind: value / whole for kind, value in seconds.items()}


def kind_of(function) -> str:
    file, _line, name = function
    words = f"{file} {name}"
    return next((kind for kind, told in KINDS.items() if any(t in words for t in told)), OTHERS)


@contextmanager
def replaced(owner, name, value):
    before = vars(owner)[name]  # as it is declared
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def unrecorded():
    """Rows are written without their history."""

    def run(self, row, write, values, told, connection):
        cursor = cursor_of(connection)
        cursor.execute(write, values)
        return cursor.rowcount == 1

    return replaced(RecordedWrites, "run", run)


@contextmanager
def uncounted():
    """No call is counted, and no caller is told."""

    def allow_request(self, request, view):
        request.throttle = self
        return True

    with (
        replaced(CredentialThrottle, "allow_request", allow_request),
        replaced(CredentialThrottle, "tell", lambda *a: None),
    ):
        yield


@contextmanager
def untagged():
    """What has no version gets no tag of its content, and no answer is compared with one."""
    with (
        replaced(fastpath, "tag_of_content", lambda content: '"-"'),
        replaced(AccountViewSet, "finalize_response", Command.finalize_response),
    ):
        yield


@contextmanager
def untold():
    """Calls have no line in the log, nor a name of their own."""
    with (
        replaced(RequestLog, "tell", lambda *a: None),
        replaced(RequestLog, "id_of", lambda *a: "-"),
    ):
        yield


# What does the same without the feature, for as long as it is entered.
FEATURES = {
    "history": unrecorded,
    "throttle": uncounted,
    "ETag": untagged,
    "log, request id": untold,
    "opening pass codes": lambda: replaced(KeyRing, "open_bytes", lambda *a: "4829"),
}


def compared(call) -> list[float]:
    """The least seconds of a call with every feature, and without each of them; in turns."""
    ways = [ExitStack, *FEATURES.values()]
    least = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for number, way in enumerate(ways):
            with way():
                least[number] = min(least[number], *(seconds(call) for _ in range(CALLS_OF_ROUND)))
    return least


def seconds(call) -> float:
    """How long it takes. Raises ValueError where it is refused: that takes another time."""
    start = time.perf_counter()
    status = call().status
    took = time.perf_counter() - start
    if status >= 300:
        raise ValueError(f"A call was answered with {status}.")
    return took


def table(head, columns):
    row(head, *columns)
    row("---", *["---:"] * len(columns))


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def percent(share) -> str:
    return f"{100 * share:.0f}"


if __name__ == "__main__":
    main()
