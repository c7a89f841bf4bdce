"""Changing the key of the pass codes in a running service, with real processes."""

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
from tests.authenticator import AuthenticatorApp
from tests.commands.test_serve import documented_reload
from tests.databases import default_database, headers_for, prepare
from tests.documents import steps
from tests.guarantees.writers import (
    NO_LIMIT,
    Uploader,
    find_differences,
    open_writers,
    sum_counts,
    watch_growth,
    writing,
)
from tests.security.browser import Browser, create_superuser
from tests.server import ROOT, Server, process_environment, reload, until, workers
from tests.service import OverSocket


def generate_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def get_name(key: str) -> str:
    """Return the key's name in the output of `rotate_pass_codes`."""
    return KeyRing.parse(key).current


OLD, NEW = generate_key(), generate_key()
BOTH = f"{NEW},{OLD}"
WRITERS = 3


@pytest.fixture
def database(databases):
    """The URL of a new database, which is Django's default during the test."""
    url = databases.empty()
    with default_database(url):
        call_command("migrate", verbosity=0)
        yield url


@pytest.fixture
def codes(database, settings, size):
    """Pass codes by mailbox, encrypted with the old key in the mailbox and its history."""
    settings.PASS_CODE_KEYS = KeyRing.parse(OLD)
    account = Account.objects.create(name="acme")
    mailboxes = [Mailbox(account=account, name=f"Desk {n}") for n in range(size(2_000, 50_000))]
    for mailbox in mailboxes:
        mailbox.password = generate_code()
    Mailbox.objects.bulk_create(mailboxes)
    Mailbox.history.bulk_history_create(mailboxes, batch_size=500)
    codes = {mailbox.pk: mailbox.password for mailbox in mailboxes}
    settings.PASS_CODE_KEYS = KeyRing.parse(BOTH)
    return codes


def generate_code() -> str:
    return f"{random.randrange(10_000):04}"


def start_rotation(database, **environment) -> subprocess.Popen:
    """Start `rotate_pass_codes` with both keys, unless the environment has others."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "rotate_pass_codes"],
        cwd=ROOT,
        env=process_environment(database, **{"PASS_CODE_KEYS": BOTH} | environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def count_remaining() -> int:
    """Return the number of values that are encrypted with the old key."""
    return sum(rows.encrypted_with_old_keys().count() for rows in (Mailbox, Mailbox.history.model))


def count_lost(expected: dict, settings) -> int:
    """Return the number of mailboxes whose pass codes, now or in history, are wrong.

    `expected` has all pass codes of each mailbox, oldest first. Only the new key decrypts here.
    """
    settings.PASS_CODE_KEYS = KeyRing.parse(NEW)
    found = defaultdict(list)
    for row in Mailbox.history.order_by("history_id"):
        found[row.uuid].append(row.password)
    now = {mailbox.pk: mailbox.password for mailbox in Mailbox.objects.all()}
    return sum(found[pk] != codes or now[pk] != codes[-1] for pk, codes in expected.items())


@pytest.mark.long
def test_interrupted_key_change_resumes(database, codes, settings, size, promise):
    stops = size(1, 50)
    for _ in range(stops):
        before = count_remaining()
        process = start_rotation(database)
        while count_remaining() == before and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130, output
        assert f"Still encrypted with an older key: {count_remaining()} (" in output
        assert 0 < count_remaining() < before
    process = start_rotation(database)
    output, _ = process.communicate()
    assert (process.returncode, count_remaining()) == (0, 0), output
    promise(
        "An interrupted key change resumes",
        f"{2 * len(codes):,} encrypted values, {stops} interruptions by Ctrl-C",
        count_lost({pk: [code] for pk, code in codes.items()}, settings),
    )


@pytest.mark.long
def test_locked_row_is_changed_by_the_next_run(database, codes):
    """The command skips a locked row on PostgreSQL, and waits for it on SQLite."""
    with transaction.atomic():
        mailbox = Mailbox.objects.select_for_update().first()
        first = start_rotation(database)
        if connection.vendor == "postgresql":
            assert (first.wait(), count_remaining()) == (1, 1)
        mailbox.password = "7302"
        mailbox.save()
    first.communicate()
    second = start_rotation(database)
    output, _ = second.communicate()
    assert (second.returncode, count_remaining()) == (0, 0), output
    assert Mailbox.objects.get(pk=mailbox.pk).password == "7302"


@pytest.mark.long
def test_key_change_overwrites_no_concurrent_write(database, codes, settings, promise):
    headers = headers_for(Account.objects.get())
    expected = {pk: [code] for pk, code in codes.items()}
    stop = threading.Event()

    def write(mailboxes) -> int:
        """Change these mailboxes at random, and record each answer. Return the number of writes."""
        count = 0
        with closing(OverSocket(headers, port=server.port)) as service:
            while not stop.is_set():
                pk = random.choice(mailboxes)
                body = random.choice([{"password": generate_code()}, {"name": "Another"}])
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
            process = start_rotation(database)
            output, _ = process.communicate()
        finally:
            stop.set()
        written = sum(writer.result() for writer in writers)
    assert (process.returncode, count_remaining()) == (0, 0), output
    versions = Mailbox.objects.values_list("pk", "version")
    assert dict(versions) == {pk: len(states) for pk, states in expected.items()}
    promise(
        "A key change overwrites no concurrent write",
        f"{2 * len(codes):,} encrypted values, {written:,} acknowledged writes",
        count_lost(expected, settings),
    )


@pytest.fixture
def env_file(tmp_path):
    """A `.env` file with the old key. No process has keys in its environment."""
    file = tmp_path / ".env"
    file.write_text(f"PASS_CODE_KEYS={OLD}\n")
    return file


def set_up_second_factor(port, user):
    """Set up the user's second factor on the pages. Return the app, and a recovery code."""
    with Browser(port) as browser:
        browser.sign_in(user)
        assert browser.post("/me/second-factor/start/").status == 302
        page = browser.get("/me/second-factor/").body.decode()
        app = AuthenticatorApp(re.search(r'id="key">(\w+)<', page)[1])
        page = browser.post("/me/second-factor/", {"code": app.code()}).body.decode()
        return app, re.search(r'<pre id="codes".*?>(\S+)', page)[1]


def is_accepted(port, user, code) -> bool:
    """Sign in with the password and this code."""
    with Browser(port) as browser:
        browser.sign_in(user)
        browser.post("/sign-in/code/", {"code": code})
        return browser.get("/me/").status == 200


@pytest.mark.long
def test_documented_rotation_loses_nothing(databases, env_file, size, promise):
    """Follow the steps of docs/operations.md, and write before, during and after each."""
    documented = steps("docs/operations.md", "Change the pass code key")
    assert [language for language, _ in documented] == ["dotenv", "dotenv", "sh", "dotenv"]
    url, rotations = databases.empty(), size(1, 3)
    headers = prepare(url)
    users = [f"rosa{number}" for number in range(rotations * len(documented))]
    with default_database(url):
        for user in users:
            create_superuser(user)

    def follow(language, text, keys):
        """Change the settings and reload, or run the command. The writers write meanwhile."""
        have_written = watch_growth(writers, "acknowledged")
        if language == "dotenv":
            env_file.write_text(re.sub("OLD|NEW", lambda match: keys[match[0]], text))
            reload(server, documented_reload(server))
            assert have_written()
        else:
            manage, *arguments = text.split()
            assert manage == "manage"
            output = server.manage(*arguments)
            assert f"PASS_CODE_KEYS, {get_name(keys['NEW'])}. You can remove" in output
        until(watch_growth(writers, "acknowledged", by=5))

    factors, new = {}, OLD
    environment = {"ENV_FILE": str(env_file), "PASS_CODE_KEYS": None}
    environment["MESSAGES_PER_MAILBOX"] = NO_LIMIT
    with (
        Server(url, TRUSTED_PROXIES="127.0.0.1", **environment) as server,
        open_writers(WRITERS, headers, server.port) as writers,
        open_writers(1, headers, server.port, Uploader) as uploaders,
    ):
        with writing(writers + uploaders):
            for number, user in enumerate(users):
                if number % len(documented) == 0:
                    old, new = new, generate_key()
                factors[user] = set_up_second_factor(server.port, user)
                follow(*documented[number % len(documented)], {"OLD": old, "NEW": new})
        with closing(OverSocket(headers, port=server.port)) as service:
            wrong = find_differences(service, writers + uploaders)
        messages = [path for uploader in uploaders for path in uploader.recordings]
        for uploader in uploaders:
            wrong += uploader.find_wrong()
        for user, (app, recovery_code) in factors.items():
            for code in (app.code(ahead=1), recovery_code):
                wrong += [] if is_accepted(server.port, user, code) else [user]
        assert "PASS_CODE_KEYS" not in server.output()  # no key was missing at any time
    with default_database(url):
        keys = {key for model in EncryptedRow.encrypted_models() for key in model.counts_by_key()}
    assert keys == {get_name(new)}
    promise(
        f"The documented key change loses nothing, {databases.engine}",
        f"{rotations} key changes, {sum_counts(writers, 'acknowledged'):,} acknowledged writes, "
        f"{len(users)} second factors, {len(messages)} recordings",
        len(wrong),
    )


@pytest.mark.long
def test_process_that_was_not_reloaded_is_reported(databases, env_file):
    url = databases.empty()
    headers = prepare(url)
    environment = {"ENV_FILE": str(env_file), "PASS_CODE_KEYS": None}
    with (
        Server(url, **environment) as server,
        closing(OverSocket(headers, port=server.port)) as service,
    ):
        env_file.write_text(f"PASS_CODE_KEYS={OLD},{NEW}\n")
        reload(server)
        env_file.write_text(f"PASS_CODE_KEYS={BOTH}\n")
        body = {"name": "Sales", "password": "4829"}
        mailbox = service.post("/voip/mailbox", body).result["uuid"]

        process = start_rotation(url, **environment)
        output, _ = process.communicate()
        assert process.returncode == 1
        assert "Everything is encrypted" not in output
        for pid in workers(server):
            assert re.search(
                rf"process {pid}, running since .+, encrypts with {get_name(OLD)}", output
            )

        reload(server)
        assert "Everything is encrypted with the first" in server.manage("rotate_pass_codes")
        env_file.write_text(f"PASS_CODE_KEYS={NEW}\n")
        reload(server)
        service.close()  # its worker has ended, so the next call opens a new connection
        assert service.get(f"/voip/mailbox/{mailbox}").result["password"] == "4829"
