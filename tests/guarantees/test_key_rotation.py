"""A new key for pass codes, while everything runs: real processes, each test on a database of its own."""

import base64
import random
import re
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
from django.core.management import call_command
from django.db import connection, transaction

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Account, Mailbox
from mailboxes.models.encrypted import EncryptedRow
from tests.databases import default_database, headers_for, prepare
from tests.documents import commands
from tests.guarantees.ledger import Ledger, differences, risen, writing
from tests.server import ROOT, Server, process_environment, reload, until, workers
from tests.service import OverSocket


def any_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def name_of(key: str) -> str:
    """Return the name by which `rotate_pass_codes` calls the key."""
    return KeyRing.parse(key).current


OLD, NEW = any_key(), any_key()
BOTH = f"{NEW},{OLD}"
WRITERS = 3


@pytest.fixture
def database(databases):
    """The URL of a database of the test's own, which is Django's default one meanwhile."""
    url = databases.empty()
    with default_database(url):
        call_command("migrate", verbosity=0)
        yield url


@pytest.fixture
def codes(database, settings, size):
    """The pass codes of many mailboxes, each with a row of history; all encrypted with the old key."""
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


def rotation(database, **environment) -> subprocess.Popen:
    """Start the command, with both keys unless the environment says otherwise."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "rotate_pass_codes"],
        cwd=ROOT,
        env=process_environment(database, **{"PASS_CODE_KEYS": BOTH} | environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def remaining() -> int:
    """How many texts are encrypted with the old key."""
    return sum(rows.encrypted_with_old_keys().count() for rows in (Mailbox, Mailbox.history.model))


def lost(expected: dict, settings) -> int:
    """Of how many mailboxes the new key alone does not open just these pass codes: in history, and the last one now."""
    settings.PASS_CODE_KEYS = KeyRing.parse(NEW)
    found = defaultdict(list)
    for row in Mailbox.history.order_by("history_id"):
        found[row.uuid].append(row.password)
    now = {mailbox.pk: mailbox.password for mailbox in Mailbox.objects.all()}
    return sum(found[pk] != codes or now[pk] != codes[-1] for pk, codes in expected.items())


@pytest.mark.long
def test_stopped_again_and_again_it_goes_on_where_it_was(database, codes, settings, size, promise):
    stops = size(1, 50)
    for _ in range(stops):
        before = remaining()
        process = rotation(database)
        while remaining() == before and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert f"Still encrypted with an older key: {remaining()} (" in said
        assert 0 < remaining() < before
    process = rotation(database)
    said, _ = process.communicate()
    assert (process.returncode, remaining()) == (0, 0), said
    promise(
        "A change of key, stopped, goes on where it was",
        f"{2 * len(codes):,} encrypted texts, {stops} stops by Ctrl-C",
        lost({pk: [code] for pk, code in codes.items()}, settings),
    )


def test_what_a_writer_holds_is_left_until_it_is_done(database, codes):
    """PostgreSQL passes such a row over. On SQLite, which has one writer at a time, the command waits."""
    with transaction.atomic():
        mailbox = Mailbox.objects.select_for_update().first()
        first = rotation(database)
        if connection.vendor == "postgresql":
            assert (first.wait(), remaining()) == (1, 1)
        mailbox.password = "7302"
        mailbox.save()
    first.communicate()
    again = rotation(database)
    said, _ = again.communicate()
    assert (again.returncode, remaining()) == (0, 0), said
    assert Mailbox.objects.get(pk=mailbox.pk).password == "7302"


@pytest.mark.long
def test_calls_that_write_meanwhile_lose_nothing(database, codes, settings, promise):
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
    with Server(database, PASS_CODE_KEYS=BOTH) as server, ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, pks[n::WRITERS]) for n in range(WRITERS)]
        try:
            process = rotation(database)
            said, _ = process.communicate()
        finally:
            over.set()
        written = sum(writer.result() for writer in writers)
    assert (process.returncode, remaining()) == (0, 0), said
    versions = Mailbox.objects.values_list("pk", "version")
    assert dict(versions) == {pk: len(states) for pk, states in expected.items()}
    promise(
        "A change of key overwrites no change made meanwhile",
        f"{2 * len(codes):,} encrypted texts, {written:,} acknowledged writes",
        lost(expected, settings),
    )


@pytest.fixture
def env_file(tmp_path):
    """A `.env` with the old key alone: the keys are in no process's environment."""
    file = tmp_path / ".env"
    file.write_text(f"PASS_CODE_KEYS={OLD}\n")
    return file


@pytest.mark.long
def test_documented_rotation_loses_no_pass_code(databases, env_file, size, promise):
    """Take the steps of docs/operations.md one after the other, while callers write."""
    command = commands("docs/operations.md", "Change the pass code key")
    manage, *arguments = command.split()
    assert manage == "manage"
    url, rotations = databases.empty(), size(1, 3)
    headers = prepare(url)

    def change_keys(*keys):
        """Reload with these keys. Each caller writes before, meanwhile and after."""
        until(risen(ledgers, "acknowledged", by=5))
        env_file.write_text(f"PASS_CODE_KEYS={','.join(keys)}\n")
        have_written = risen(ledgers, "acknowledged")
        reload(server)
        assert have_written()
        until(risen(ledgers, "acknowledged", by=5))

    with Server(url, ENV_FILE=str(env_file), PASS_CODE_KEYS=None) as server:
        ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(WRITERS)]
        new = OLD
        with writing(ledgers):
            for _ in range(rotations):
                old, new = new, any_key()
                change_keys(old, new)
                change_keys(new, old)
                said = server.manage(*arguments)
                assert f"PASS_CODE_KEYS, {name_of(new)}. You can remove" in said
                change_keys(new)
        with closing(OverSocket(headers, port=server.port)) as service:
            wrong = differences(service, ledgers)
        for ledger in ledgers:
            ledger.service.close()
        assert "PASS_CODE_KEYS" not in server.output()  # no key was missing at any time
    with default_database(url):
        under = {key for model in EncryptedRow.encrypted_models() for key in model.counts_by_key()}
    assert under == {name_of(new)}
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    promise(
        f"Keys are changed as docs/operations.md says, {databases.engine}",
        f"{rotations} changes of key, {acknowledged:,} acknowledged writes",
        len(wrong),
    )


@pytest.mark.long
def test_process_that_was_not_reloaded_is_named(databases, env_file):
    url = databases.empty()
    headers = prepare(url)
    files = {"ENV_FILE": str(env_file), "PASS_CODE_KEYS": None}
    with (
        Server(url, **files) as server,
        closing(OverSocket(headers, port=server.port)) as service,
    ):
        env_file.write_text(f"PASS_CODE_KEYS={OLD},{NEW}\n")
        reload(server)
        env_file.write_text(f"PASS_CODE_KEYS={BOTH}\n")
        body = {"name": "Sales", "password": "4829"}
        mailbox = service.post("/voip/mailbox", body).result["uuid"]

        process = rotation(url, **files)
        said, _ = process.communicate()
        assert process.returncode == 1
        assert "Everything is encrypted" not in said
        for pid in workers(server):
            assert re.search(
                rf"process {pid}, running since .+, encrypts with {name_of(OLD)}", said
            )

        reload(server)
        assert "Everything is encrypted with the first" in server.manage("rotate_pass_codes")
        env_file.write_text(f"PASS_CODE_KEYS={NEW}\n")
        reload(server)
        service.close()  # its worker has ended: the next call opens a new connection
        assert service.get(f"/voip/mailbox/{mailbox}").result["password"] == "4829"
