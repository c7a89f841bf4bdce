"""A new key for pass codes, while everything runs: real processes, the suite's own database."""

import base64
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.db import connection, transaction

from mailboxes.keyring import KEY_BYTES, KeyRing
from mailboxes.models import Account, Mailbox
from tests.conftest import database_url, headers_for
from tests.server import ROOT, Server, on_database
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = (base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for _ in range(2))
BOTH = f"{NEW},{OLD}"
WRITERS = 3


@pytest.fixture
def codes(settings, size):
    """The pass codes of many mailboxes, each with a row of history; all sealed with the old key."""
    settings.PASS_CODE_KEYS = KeyRing.parse(OLD)
    account = Account.objects.create(name="acme")
    made = [Mailbox(account=account, name=f"Desk {n}") for n in range(size(2_000, 50_000))]
    for mailbox in made:
        mailbox.password = any_code()
    Mailbox.objects.bulk_create(made)
    Mailbox.history.bulk_history_create(made, batch_size=500)
    codes = {mailbox.pk: mailbox.password for mailbox in made}
    settings.PASS_CODE_KEYS = KeyRing.parse(BOTH)
    return codes


def any_code() -> str:
    return f"{random.randrange(10_000):04}"


def rotation() -> subprocess.Popen:
    """The command, begun."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "rotate_pass_codes"],
        cwd=ROOT,
        env=on_database(database_url(), PASS_CODE_KEYS=BOTH),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def remaining() -> int:
    """How many texts are sealed with the old key."""
    return sum(rows.under_older_keys().count() for rows in (Mailbox, Mailbox.history.model))


def lost(expected: dict, settings) -> int:
    """Of how many mailboxes the new key alone does not open just these pass codes: in history, and the last one now."""
    settings.PASS_CODE_KEYS = KeyRing.parse(NEW)
    found = defaultdict(list)
    for row in Mailbox.history.order_by("history_id"):
        found[row.uuid].append(row.password)
    now = {mailbox.pk: mailbox.password for mailbox in Mailbox.objects.all()}
    return sum(found[pk] != codes or now[pk] != codes[-1] for pk, codes in expected.items())


@pytest.mark.long
def test_stopped_again_and_again_it_goes_on_where_it_was(codes, settings, size, promise):
    stops = size(1, 50)
    for _ in range(stops):
        before = remaining()
        process = rotation()
        while remaining() == before and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert f"Still sealed with an older key: {remaining()} (" in said
        assert 0 < remaining() < before
    process = rotation()
    said, _ = process.communicate()
    assert (process.returncode, remaining()) == (0, 0), said
    promise(
        "A change of key, stopped, goes on where it was",
        f"{2 * len(codes):,} sealed texts, {stops} stops by Ctrl-C",
        lost({pk: [code] for pk, code in codes.items()}, settings),
    )


def test_what_a_writer_holds_is_left_until_it_is_done(codes):
    """PostgreSQL passes such a row over. On SQLite, which has one writer at a time, the command waits."""
    with transaction.atomic():
        mailbox = Mailbox.objects.select_for_update().first()
        first = rotation()
        if connection.vendor == "postgresql":
            assert (first.wait(), remaining()) == (1, 1)
        mailbox.password = "7302"
        mailbox.save()
    first.communicate()
    again = rotation()
    said, _ = again.communicate()
    assert (again.returncode, remaining()) == (0, 0), said
    assert Mailbox.objects.get(pk=mailbox.pk).password == "7302"


@pytest.mark.long
def test_calls_that_write_meanwhile_lose_nothing(codes, settings, promise):
    headers = headers_for(Account.objects.get())
    expected = {pk: [code] for pk, code in codes.items()}
    over = threading.Event()

    def write(some) -> int:
        """Change mailboxes of these, over and over, and keep what the service has said it did."""
        count = 0
        with closing(OverSocket(headers, port=server.port)) as service:
            while not over.is_set():
                pk = random.choice(some)
                body = random.choice([{"password": any_code()}, {"name": "Another"}])
                answer = service.patch(f"/voip/mailbox/{pk}", body)
                assert answer.status == 200
                expected[pk].append(answer.result["password"])
                assert answer.result.items() >= body.items()
                count += 1
        return count

    pks = list(codes)
    with Server(database_url(), PASS_CODE_KEYS=BOTH) as server, ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, pks[n::WRITERS]) for n in range(WRITERS)]
        try:
            process = rotation()
            said, _ = process.communicate()
        finally:
            over.set()
        written = sum(writer.result() for writer in writers)
    assert (process.returncode, remaining()) == (0, 0), said
    versions = Mailbox.objects.values_list("pk", "version")
    assert dict(versions) == {pk: len(states) for pk, states in expected.items()}
    promise(
        "A change of key overwrites no change made meanwhile",
        f"{2 * len(codes):,} sealed texts, {written:,} acknowledged writes",
        lost(expected, settings),
    )
