"""Fixtures of all tests: accounts, the service, and programs of the machine."""

import gc
import os
import shutil
import signal
import subprocess
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from shutil import which

import pytest
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings

from mailboxes.models import Account
from mailboxes.storage import recordings_store
from tests import databases as extra_databases
from tests import requirements
from tests.databases import PostgresDatabases, SQLiteDatabases, headers_for
from tests.delivery.receiver import Receiver
from tests.postgres import PrivatePostgres, free_port
from tests.reset_db import DatabaseReset
from tests.server import Server
from tests.service import InProcess, OverSocket

hypothesis_settings.register_profile(
    "unhurried", deadline=None
)  # a busy machine must not fail a test
hypothesis_settings.load_profile("unhurried")

# A shell makes its background processes ignore Ctrl-C, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def find_own_engine(item) -> str | None:
    """Return the engine of the databases that a test fills itself, whatever DATABASE_URL says."""
    if "databases" in item.fixturenames:
        return item.callspec.params["databases"]
    engines = [each for each in ("sqlite", "postgres") if f"{each}_databases" in item.fixturenames]
    return engines[0] if engines else None


def pytest_collection_modifyitems(config, items):
    """Leave out tests with databases of another engine than OWN_DATABASES; all, if off."""
    wanted = os.environ.get("OWN_DATABASES")
    if wanted:
        left_out = [item for item in items if find_own_engine(item) not in (None, wanted)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    """Collect the tests without the garbage collector: there is no garbage."""
    gc.disable()


def pytest_collection_finish():
    """Spare the collected tests the garbage collector: it would read them all again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _unblock_databases(django_db_blocker):
    """Open the databases of tests.databases to every test."""
    extra_databases.unblock = django_db_blocker.unblock


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Replace Django's flush after a test that commits: see tests/reset_db.py."""
    with django_db_blocker.unblock():
        reset_database = DatabaseReset()
    TransactionTestCase._fixture_teardown = lambda test_case: reset_database()


@pytest.fixture
def account(db):
    return Account.objects.create(name="acme")


@pytest.fixture
def stranger(db):
    """Return an account unrelated to `account`."""
    return Account.objects.create(name="stranger")


@pytest.fixture
def service(account):
    """Return the service in this process, called with a credential of the account."""
    return InProcess(headers_for(account))


@pytest.fixture
def reachable(settings):
    """Let webhooks reach this machine, without HTTPS."""
    settings.HTTPS = False
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver(reachable):
    """Return a running receiver of webhooks."""
    with Receiver() as running:
        yield running


@pytest.fixture
def recordings_folder():
    """Return the folder of recordings, empty."""
    folder = Path(recordings_store().location)
    empty_folder(folder)
    return folder


def empty_folder(folder: Path):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


IN_PROCESS = pytest.param("in process", marks=pytest.mark.django_db)
OVER_SOCKET = pytest.param("over a socket", marks=pytest.mark.django_db(transaction=True))


@pytest.fixture(params=[IN_PROCESS, OVER_SOCKET])
def wire(request):
    """Call the service in this process and then over a socket: the test runs twice."""
    headers = headers_for(Account.objects.create(name="acme"))
    if request.param == "in process":
        yield InProcess(headers)
    else:
        with closing(OverSocket(headers, port=request.getfixturevalue("server").port)) as service:
            yield service


@pytest.fixture(scope="session")
def server(django_db_setup):
    """Run the real server on the test database."""
    with Server(database_url()) as running:
        yield running


def database_url() -> str:
    """Return the URL of the test database, which differs from DATABASE_URL."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    host = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    return f"postgres://{host}/{database['NAME']}"


@pytest.fixture(scope="session")
def postgres():
    """Run a private PostgreSQL."""
    programs = requirements.postgres_programs()
    if programs is None:
        requirements.skip_or_fail(
            "postgres", "PostgreSQL's programs (initdb, pg_ctl) are not on this machine."
        )
    with PrivatePostgres(programs) as running:
        yield running


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory):
    return SQLiteDatabases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgres_databases(postgres):
    return PostgresDatabases(postgres)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    program = which("redis-server")
    if program is None:
        requirements.skip_or_fail("redis", "redis-server is not on this machine.")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        yield f"redis://127.0.0.1:{port}/0"
        running.terminate()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def databases(request):
    """Return further databases: on SQLite, and in the long suite on PostgreSQL too."""
    return request.getfixturevalue(f"{request.param}_databases")
