"""Expensive calls of one customer, and how much they delay another customer's calls.

The full run, on a quiet machine, compares the 99th percentile of a thousand calls with the one
without expensive calls. A short run only shows that all calls are answered.
"""

import time
from contextlib import closing
from itertools import count
from uuid import uuid4

import pytest

from mailboxes.models import Account, Mailbox
from tests.databases import default_database
from tests.guarantees.conftest import FULL
from tests.guarantees.expensive_calls import ExpensiveCalls
from tests.guarantees.slow_callers import build_request
from tests.guarantees.test_big_accounts import create_account
from tests.security.browser import Browser, create_superuser
from tests.server import PreparedServer
from tests.service import OverSocket

pytestmark = pytest.mark.long

LIST = "/voip/mailbox"
MOST = 5  # times as long may the other customer's calls take
CHECKS = 20  # slices of a second of a long import
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Service(PreparedServer):
    """A server with a small account, and a large one whose calls are expensive.

    One mailbox of the large account has many changes.
    """

    def __init__(self, databases, mailboxes, changes):
        self.url, self.engine = databases.empty(), databases.engine
        self.mailboxes, self.changes = mailboxes, changes
        super().__init__(self.url, RATE_LIMIT="1000000/second")

    def __enter__(self):
        super().__enter__()
        self.large, self.uuids = create_account(self.url, self.mailboxes)
        with default_database(self.url):
            small = Account.objects.get(name="acme")
            self.paths = [LIST]
            for number in range(20):
                mailbox = Mailbox.objects.create(account=small, name=f"Desk {number}")
                self.paths.append(f"{LIST}/{mailbox.pk}")
            changed = Mailbox.objects.get(pk=self.uuids[0])
            for _ in range(self.changes):
                changed.save()
            create_superuser("rosa")
        with Browser(self.port) as browser:
            browser.get("/sign-in/")
            self.visitor = browser_headers(browser)
            assert browser.sign_in().status == 302
            self.staff = browser_headers(browser)
        return self

    def measure(self, calls, writes=True, is_over=lambda: True) -> tuple[int, int, float]:
        """Make calls of the small account, at least so many, and until `is_over` returns True.

        Return how many there were, how many of them failed, and the 99th percentile.
        """
        failed, seconds = 0, []
        for number in count():
            if number >= calls and is_over():
                break
            path = self.paths[number % len(self.paths)]
            start = time.perf_counter()
            with closing(OverSocket(self.headers, self.port)) as caller:
                if writes and number % 10 == 9 and path != LIST:
                    answer = caller.patch(path, {"name": f"Desk {number}"})
                else:
                    answer = caller.get(path)
            seconds.append(time.perf_counter() - start)
            failed += answer.status != 200
        return len(seconds), failed, sorted(seconds)[int(len(seconds) * 0.99)]


def browser_headers(browser) -> dict:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return {"Cookie": cookies, "X-CSRFToken": browser.cookies["csrftoken"]}


def build(method, path, headers, body=b"") -> bytes:
    if body:
        headers = FORM | headers | {"Content-Length": len(body)}
    return build_request(f"{method} {path}", headers, "Connection: close") + body


def build_sign_ins(service):
    """Return wrong passwords of many users, so that no user is locked out."""
    users = [uuid4().hex for _ in range(1000)]
    forms = [f"username={user}&password=wrong".encode() for user in users]
    return [build("POST", "/sign-in/", service.visitor, form) for form in forms]


def build_imports(service):
    """Return two imports that change all mailboxes, each with its upload, checks and preview."""
    requests = []
    for name in ("One", "Other"):
        rows = "".join(f"{uuid},{name}\r\n" for uuid in service.uuids)
        file = (
            "--limit\r\n"
            'Content-Disposition: form-data; name="file"; filename="mailboxes.csv"\r\n'
            f"Content-Type: text/csv\r\n\r\nuuid,name\r\n{rows}\r\n--limit--\r\n"
        ).encode()
        multipart = service.staff | {"Content-Type": "multipart/form-data; boundary=limit"}
        slices = service.staff | {"HX-Request": "true"}
        requests += [
            build("POST", "/import/", multipart, file),
            *[build("POST", "{location}check/", slices, b"next=1")] * CHECKS,
            build("GET", "{location}", service.staff),
            build("POST", "{location}write/", service.staff, b"next=1"),
        ]
    return requests


EXPENSIVE = {
    "lists of all mailboxes": lambda s: [build("GET", LIST, s.large)],
    "sorted lists of all mailboxes": lambda s: [build("GET", f"{LIST}?order=-updated", s.large)],
    "searches": lambda s: [build("GET", f"{LIST}?search=nowhere", s.large)],
    "histories": lambda s: [build("GET", f"{LIST}/{s.uuids[0]}/history", s.large)],
    "schemas": lambda s: [build("GET", "/voip/schema", {})],
    "calls with a wrong X-Auth-For": lambda s: [
        build("GET", LIST, s.large | {"X-Auth-For": "nobody"})
    ],
    "sign-ins with a wrong password": build_sign_ins,
    "tables of mailboxes": lambda s: [build("GET", "/?account=big", s.staff)],
    "searches on the console": lambda s: [build("GET", "/?q=nowhere", s.staff)],
    "pages of a history": lambda s: [build("GET", f"/mailboxes/{s.uuids[0]}/history/", s.staff)],
    "previews of a change of all mailboxes": lambda s: [
        build("GET", "/bulk/change/?all=on&account=big&to-beep=off", s.staff)
    ],
    "exports": lambda s: [build("POST", "/export/?all=on&account=big", s.staff, b"delimiter=,")],
    "imports": build_imports,
}


def test_expensive_calls_delay_no_other_customer(databases, size, promise):
    calls = size(20, 1000)
    rows = []
    with Service(databases, size(200, 20_000), size(20, 10_000)) as service:
        for kind, requests in EXPENSIVE.items():
            # On SQLite, a write waits for the import of another customer.
            writes = kind != "imports" or service.engine != "SQLite"
            _calls, _failed, usual = service.measure(calls, writes)
            with ExpensiveCalls(service.port, requests(service)) as expensive:
                until_end = [expensive.has_ended_a_round] if kind == "imports" else []
                made, failed, slow = service.measure(calls, writes, *until_end)
            failed += sum(status >= 500 for status in expensive.statuses)
            tried = (
                f"{service.engine}: {made:,} calls{'' if writes else ' (reads)'} during {kind}; "
                f"99% took at most {slow * 1000:.1f} ms, without them {usual * 1000:.1f} ms, "
                f"{slow / usual:.1f} times as long"
            )
            rows.append((tried, failed + (FULL and slow > MOST * usual)))
    for tried, lost in rows:
        promise("Expensive calls of one customer hardly delay another's", tried, lost)
