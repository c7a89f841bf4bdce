"""Memory of the real server while staff upload hostile files and export a long table."""

from contextlib import contextmanager

import pytest

from mailboxes.csvfiles.importing import MAX_MIB
from mailboxes.csvfiles.parsing import MAX_ROW_BYTES, MAX_ROWS
from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.databases import default_database
from tests.guarantees.test_big_accounts import read_peak_memory
from tests.security.browser import Browser, create_superuser
from tests.server import PreparedServer

MEMORY = 300  # MiB
HEADER = b"account,name,recipients\n"
LONG_NAME = b"x" * (MAX_ROW_BYTES - 100)
WRONG_ADDRESSES = b";".join(b"%d%s" % (number, b"x" * 300) for number in range(50))

# The kind of a file, its start, and the text that it repeats.
FILES = [
    ("a header without an end", b"", b"name,"),
    ("a row of commas", HEADER, b"a,"),
    ("a line without an end", HEADER, b"x"),
    ("a quoted cell without an end", HEADER + b'acme,"', b"x\n"),
    ("a row of many lines", HEADER + b'"', b'","\n'),
    ("NULs", HEADER, b"\0"),
    ("rows of NULs", HEADER, b"%s\n" % (b"\0" * 300)),
    ("UTF-16", HEADER.decode().encode("utf-16"), b"a\0"),
    ("empty rows", HEADER, b"\n"),
    ("the longest rows", HEADER, b"acme,%s,\n" % LONG_NAME),
    (
        "the longest rows, each with a wide character",
        HEADER,
        "acme,{}🙂,\n".format("x" * 19_000).encode(),
    ),
    ("wrong addresses", HEADER, b"acme,x,%s\n" % WRONG_ADDRESSES),
    ("thousands of addresses in a row", HEADER, b"acme,x,%s\n" % (b"a;" * 9_900)),
    ("no mailbox twice", b"account,name\n", b"acme,%s\n" % (b"x" * 100)),
    (
        "one mailbox in each row",
        b"uuid,account,name\n",
        b"63e54af8-07b5-4fd2-b15b-f4c31a82ca0b,acme,x\n",
    ),
    ("bytes that would unpack to gigabytes", b"", b"\x1f\x8b\x08\x00" + b"\0" * 1020),
]


def build_file(start: bytes, repeated: bytes, mebibytes: int) -> bytes:
    """Return a file of so many MiB, or of the largest number of rows if that is shorter."""
    count = (mebibytes * 1024 * 1024 - len(start)) // len(repeated)
    is_row = repeated.endswith(b"\n") and b'"' not in start + repeated and repeated != b"\n"
    return start + repeated * (min(count, MAX_ROWS) if is_row else count)


def create_mailboxes(count, recipients) -> None:
    """Create mailboxes that have as many recipients each, with long addresses."""
    account = Account.objects.get(name="acme")
    for start in range(0, count, 1000):
        rows = [
            Mailbox(account=account, name=f"Box {number}", password="8305")
            for number in range(start, start + 1000)
        ]
        Mailbox.objects.bulk_create(rows)
        EmailRecipient.objects.bulk_create(
            (
                EmailRecipient(mailbox=row, email=f"{number}{'x' * 60}@{'y.' * 85}example")
                for row in rows
                for number in range(recipients)
            ),
            batch_size=1000,
        )


@pytest.fixture
def server(databases):
    """The server in one process, with an administrator."""
    with PreparedServer(databases.empty(), WEB_CONCURRENCY="1") as server:
        with default_database(server.environment["DATABASE_URL"]):
            create_superuser("rosa")
        yield server


@contextmanager
def signed_in(server):
    with Browser(server.port, scheme="http") as browser:
        browser.connection.timeout = 600
        assert browser.sign_in().status == 302
        yield browser


def measure_memory(server) -> int:
    [peak] = read_peak_memory(server).values()
    return peak


def upload(browser, data, slices) -> int:
    """Upload a file, check slices of it, and read the list of its errors. Return the status."""
    answer = browser.upload("/import/", data)
    if answer.status == 302:
        address = answer.headers["location"]
        for _ in range(slices):
            assert browser.post(f"{address}check/").status == 302
        assert browser.get(address).status == 200
        assert browser.get(f"{address}errors.csv").status == 200
        browser.post(f"{address}discard/")
    return answer.status


@pytest.mark.long
def test_hostile_uploads_keep_a_process_small(databases, server, size, promise):
    mebibytes, slices = size(8, MAX_MIB), size(1, 4)
    grown = {}
    with signed_in(server) as browser:
        start = measure_memory(server)
        for kind, first, repeated in FILES:
            status = upload(browser, build_file(first, repeated, mebibytes), slices)
            grown[kind] = measure_memory(server) - start, status
    most = max(growth for growth, _ in grown.values())
    assert {status for _, status in grown.values()} == {200, 302}
    promise(
        f"Uploads keep a process within {MEMORY} MiB of its start",
        f"{databases.engine}: {len(FILES)} hostile files of {mebibytes} MiB; {most} MiB at most",
        int(most >= MEMORY),
    )


@pytest.mark.long
def test_export_of_a_long_table_keeps_a_process_small(databases, server, size, promise):
    count = size(1_000, 4_000)
    with default_database(server.environment["DATABASE_URL"]):
        create_mailboxes(count, recipients=50)
    with signed_in(server) as browser:
        start = measure_memory(server)
        answer = browser.post("/export/?all=on", {"delimiter": ",", "pass_codes": "on"})
        assert (answer.status, answer.body.count(b"\n")) == (200, count + 1)
        most = measure_memory(server) - start
    promise(
        f"Exports keep a process within {MEMORY} MiB of its start",
        f"{databases.engine}: {count:,} mailboxes with 50 recipients each; {most} MiB at most",
        int(most >= MEMORY),
    )
