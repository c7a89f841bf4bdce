"""The `serve` command: its log at a start and a reload."""

import signal
from contextlib import closing

import pytest

from tests.conftest import database_url, headers_for
from tests.documents import commands
from tests.server import Server, reload, until, workers
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.long
@pytest.mark.parametrize(
    ("proxies", "logged"), [("10.0.0.0/8, 127.0.0.1", "10.0.0.0/8, 127.0.0.1/32"), ("", "none")]
)
def test_first_log_line_has_address_https_and_trusted_proxies(proxies, logged):
    with Server(database_url(), HTTPS="on", TRUSTED_PROXIES=proxies) as server:
        first, *more = server.output().splitlines()
    assert (
        f" INFO mailboxes Process {server.process.pid} starts on 127.0.0.1, port {server.port}. "
        f"HTTPS: required. Trusted proxies: {logged}. id=-"
    ) in first
    warnings = [line for line in more if "Every API call will be refused (403)" in line]
    assert len(warnings) == (logged == "none")


@pytest.mark.long
def test_server_without_https_logs_no_warning():
    with Server(database_url(), HTTPS="off") as server:
        assert "HTTPS: not required. Trusted proxies: none." in server.output().splitlines()[0]
        assert "WARNING" not in server.output()


@pytest.mark.long
def test_reload_is_logged():
    with Server(database_url()) as server:
        reload(server)
        assert "Received SIGHUP, restarting processes." in server.output()
        assert server.output().count("Application startup complete.") == 4


@pytest.mark.long
def test_reload_with_a_wrong_setting_keeps_the_old_workers(tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("RATE_LIMIT=100/minute\n")
    with Server(database_url(), ENV_FILE=str(env_file), RATE_LIMIT=None) as server:
        before = workers(server)
        env_file.write_text("RATE_LIMIT=often\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "aborting the restart" in server.output())
        assert "RATE_LIMIT is wrong" in server.output()
        assert workers(server) == before
        with closing(OverSocket(port=server.port)) as caller:
            assert caller.get("/healthz").status == 200


def documented_reload(server) -> str:
    """Return the documented command that reloads a server, for this one."""
    lines = commands("docs/operations.md", "Upgrade and reload").splitlines()
    [line] = [line for line in lines if line.startswith("kill")]
    return line.replace("4711", str(server.process.pid))


@pytest.mark.long
def test_reload_applies_new_settings(tmp_path, account):
    env_file = tmp_path / ".env"
    env_file.write_text("PASS_CODE_POLICY=warn\n")
    weak = {"name": "Sales", "password": "1234"}
    with (
        Server(database_url(), ENV_FILE=str(env_file), PASS_CODE_POLICY=None) as server,
        closing(OverSocket(headers_for(account), port=server.port)) as service,
    ):
        answer = service.post("/voip/mailbox", weak)
        assert (answer.status, "x-pass-code-warning" in answer.headers) == (201, True)
        env_file.write_text("PASS_CODE_POLICY=reject\n")
        answer = service.post("/voip/mailbox", weak)
        assert answer.status == 201  # not yet
        reload(server, documented_reload(server))
        service.close()  # its worker has ended: the next call opens a new connection
        answer = service.post("/voip/mailbox", weak)
        assert (answer.status, [*answer.errors]) == (400, ["password"])
