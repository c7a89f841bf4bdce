"""Whether an ordinary account's commands, pages and lookups stay as fast while all others grow.

`make bench-growth` prints the milliseconds of each, and ends with status 1 where one takes 1.3 times
as long among a million mailboxes as among a thousand. Each is asked of all sizes in turn, and the
least of many times counts: what else the machine does only adds to it. SIZES=… names others.
"""

import logging
import os
import sys
import time

import django
from django.core.management import call_command
from django.db.backends.signals import connection_created

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from mailboxes.db.connections import set_timeouts  # noqa: E402
from tests.benchmarks.cases import CASES, OF_ALL_ACCOUNTS, Ordinary  # noqa: E402
from tests.benchmarks.filling import SIZE, fill  # noqa: E402
from tests.databases import default_database  # noqa: E402
from tests.postgres import PrivatePostgres  # noqa: E402
from tests.requirements import postgres_programs  # noqa: E402

SIZES = [int(size) for size in os.environ.get("SIZES", "1000 100000 1000000").split()]
ROUNDS, MORE_ROUNDS = 8, 30
CALLS = 7  # of a round: a query is prepared when it is asked the third time
FLAT = 1.3


def main() -> int:
    logging.disable()
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres:
        services = [grown(postgres.create(f"size_{size}"), size) for size in SIZES]
        connection_created.connect(
            set_timeouts
        )  # as the server does; it is given no time to fill a table
        return measured(services)


def grown(url, size) -> tuple[str, Ordinary]:
    """A new database of this size, which the URL names, and the ordinary account of it."""
    start = time.monotonic()
    with default_database(url):
        call_command("migrate", verbosity=0)
        ordinary = Ordinary(fill(size // SIZE))
    print(f"{size:,} mailboxes are there after {time.monotonic() - start:.0f} s.", flush=True)
    return url, ordinary


def measured(services) -> int:
    """Print the table. How many of the bounded cases are not flat."""
    print(line(["milliseconds", *(f"{size:,}" for size in SIZES), "ratio"]))
    print(line(["---", *["---:"] * (len(SIZES) + 1)]))
    not_flat = 0
    for name, ask in CASES.items():
        ratio = told(name, ask, services)
        not_flat += ratio >= FLAT
    for name, ask in OF_ALL_ACCOUNTS.items():
        told(f"({name})", ask, services, most=ROUNDS)
    return not_flat


def told(name, ask, services, most=MORE_ROUNDS) -> float:
    """Print how long it takes among each size of the others. Of the largest's time to the smallest's, the ratio."""
    times = [float("inf")] * len(services)
    for number in range(most):
        # What seems to grow is given time to show that it does not.
        if number >= ROUNDS and times[-1] / times[0] < FLAT:
            break
        taken = [least(url, ask, ordinary) for url, ordinary in services]
        times = list(map(min, times, taken))
    ratio = times[-1] / times[0]
    print(line([name, *(f"{taken:.1f}" for taken in times), f"{ratio:.2f}"]), flush=True)
    return ratio


def least(url, ask, ordinary) -> float:
    """The least that one of some calls took, in milliseconds."""
    with default_database(url):
        taken = []
        for _ in range(CALLS):
            start = time.perf_counter()
            ask(ordinary)
            taken.append(time.perf_counter() - start)
        return min(taken) * 1000


def line(cells) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main() > 0)
