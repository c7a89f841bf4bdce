"""Compare the speed of one account among 1,000, 100,000 and 1,000,000 mailboxes.

Each mailbox has a message, and one of the account has 10,000, of which a search decrypts each.

`make bench-growth` prints the milliseconds of each case. Its exit status is 1 if a case takes 1.3
times as long among the most mailboxes as among the fewest. The cases run on all sizes in turn, and
the minimum of many times counts, since other work of the machine can only add to it. SIZES sets
other sizes.
"""

import logging
import os
import sys
import time

import django
from django.core.management import call_command
from django.db.backends.signals import connection_created

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
MESSAGES = 10_000  # in one mailbox; each other one has one
os.environ["MESSAGES_PER_MAILBOX"] = str(2 * MESSAGES)
django.setup()

from mailboxes.db.connections import set_timeouts  # noqa: E402
from tests.benchmarks.cases import CASES, OF_ALL_ACCOUNTS, Callers  # noqa: E402
from tests.benchmarks.filling import SIZE, fill_tables  # noqa: E402
from tests.databases import default_database  # noqa: E402
from tests.postgres import PrivatePostgres  # noqa: E402
from tests.requirements import postgres_programs  # noqa: E402

SIZES = [int(size) for size in os.environ.get("SIZES", "1000 100000 1000000").split()]
ROUNDS, MAX_ROUNDS = 8, 30
CALLS = 7  # in a round; PostgreSQL prepares a query the third time
FLAT = 1.3


def main() -> int:
    logging.disable()
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres:
        services = [prepare_service(postgres.create(f"size_{size}"), size) for size in SIZES]
        # Filling takes longer than the server's timeouts, so they are set only now.
        connection_created.connect(set_timeouts)
        return print_table(services)


def prepare_service(url, size) -> tuple[str, Callers]:
    """Fill the database, and return its URL and the callers of one account."""
    start = time.monotonic()
    with default_database(url):
        call_command("migrate", verbosity=0)
        callers = Callers(fill_tables(size // SIZE, messages=MESSAGES))
    print(f"Created {size:,} mailboxes in {time.monotonic() - start:.0f} s.", flush=True)
    return url, callers


def print_table(services) -> int:
    """Print the table, and return the number of limited cases that are not flat."""
    print(format_row(["milliseconds", *(f"{size:,}" for size in SIZES), "ratio"]))
    print(format_row(["---", *["---:"] * (len(SIZES) + 1)]))
    not_flat = 0
    for name, call in CASES.items():
        ratio = print_case(name, call, services)
        not_flat += ratio >= FLAT
    for name, call in OF_ALL_ACCOUNTS.items():
        print_case(f"({name})", call, services, max_rounds=ROUNDS)
    return not_flat


def print_case(name, call, services, max_rounds=MAX_ROUNDS) -> float:
    """Print a case's time at each size, and return the ratio of the largest to the smallest."""
    times = [float("inf")] * len(services)
    for number in range(max_rounds):
        # A case that seems to grow gets more rounds, because noise can look like growth.
        if number >= ROUNDS and times[-1] / times[0] < FLAT:
            break
        elapsed = [measure_minimum(url, call, callers) for url, callers in services]
        times = list(map(min, times, elapsed))
    ratio = times[-1] / times[0]
    print(format_row([name, *(f"{elapsed:.1f}" for elapsed in times), f"{ratio:.2f}"]), flush=True)
    return ratio


def measure_minimum(url, call, callers) -> float:
    """Return the minimum time of a call, in milliseconds."""
    with default_database(url):
        elapsed = []
        for _ in range(CALLS):
            start = time.perf_counter()
            call(callers)
            elapsed.append(time.perf_counter() - start)
        return min(elapsed) * 1000


def format_row(cells) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main() > 0)
