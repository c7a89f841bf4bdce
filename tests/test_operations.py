"""The commands of docs/operations.md, and docs/systemd, on a copy of the project."""

import getpass
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from tests import requirements
from tests.clone import clone, environment, run_script
from tests.documents import commands
from tests.postgres import free_port
from tests.server import until

MANUAL = "docs/operations.md"
ALIAS = commands(MANUAL, "Operate the service")
HOST = "mailboxes.example.com"  # in .env.example


@pytest.fixture
def copy(tmp_path):
    """Return a clone with the packages of the tests, so that nothing is downloaded."""
    folder = clone(tmp_path / "mailboxes")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def lines_of(heading, *programs) -> str:
    """Return the commands under a heading, all or those of these programs."""
    found = commands(MANUAL, heading).splitlines()
    return "\n".join(line for line in found if not programs or line.startswith(programs))


def fill_in(env_file):
    """Put keys into a copy of .env.example by its own commands, and trust a local proxy."""
    text = env_file.read_text()
    for command, name in re.findall(r"^#   (python3 -c .+)\n(\w+)=$", text, re.MULTILINE):
        key = run_script(command, env_file.parent).strip()
        text = text.replace(f"\n{name}=\n", f"\n{name}={key}\n")
    env_file.write_text(f"{text}TRUSTED_PROXIES=127.0.0.1\n")


@contextmanager
def run_server(copy):
    """Start the server with the documented command, and yield a caller like a proxy."""
    port = free_port()
    [command] = lines_of("Install", "manage serve").splitlines()
    script = f"{ALIAS}\n{command.replace('8000', str(port))}"
    with (copy / "log").open("w") as log:
        process = subprocess.Popen(
            ["sh", "-c", script], cwd=copy, env=environment(), stdout=log, stderr=log
        )

    def call(path, body=None, headers=()):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            json.dumps(body).encode() if body else None,
            {
                "Host": HOST,
                "X-Forwarded-Proto": "https",
                "Content-Type": "application/json",
                **dict(headers),
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["result"]

    try:
        until(lambda: "Application startup complete" in (copy / "log").read_text())
        yield call
    finally:
        pid = re.search(r"Process (\d+) starts", (copy / "log").read_text())
        run_script(f"kill {pid[1] if pid else process.pid}", copy)
        process.wait(timeout=60)


@pytest.mark.long
def test_documented_commands_install_back_up_and_restore(copy, tmp_path):
    settings = lines_of("Install", "cp", "chmod", "chown")
    run_script(settings.replace("mailboxes:", f"{getpass.getuser()}:"), copy)
    fill_in(copy / ".env")
    assert (copy / ".env").stat().st_mode & 0o077 == 0
    tables = lines_of("Install", "manage migrate", "manage collectstatic")
    logins = lines_of("Install", "manage createsuperuser", "manage issue_credential")
    printed = run_script(
        f"{ALIAS}\n{tables}\n{logins.replace('superuser', 'superuser --noinput')}",
        copy,
        DJANGO_SUPERUSER_USERNAME="rosa",
        DJANGO_SUPERUSER_PASSWORD="correct horse",
        DJANGO_SUPERUSER_EMAIL="",
    )
    headers = re.findall("^(X-Auth-.+): (.+)$", printed, re.MULTILINE)
    for_engine = commands("docs/telephony.md", "Connect your PBX")
    assert "asterisk" in run_script(f"{ALIAS}\n{for_engine}", copy)
    folder = "/var/backups/mailboxes"
    make_folder = lines_of("systemd", "install").replace(
        "--owner mailboxes", f"--owner {getpass.getuser()}"
    )
    back_up, restore = lines_of("Back up and restore").splitlines()
    nightly = re.findall(r"nightly@(\w+)\.timer", lines_of("systemd", "systemctl"))
    assert len(nightly) == 3

    with run_server(copy) as call:
        created = call("/voip/mailbox", {"name": "Sales"}, headers)
        jobs = [f"manage {command}" for command in nightly]
        script = "\n".join([ALIAS, make_folder, back_up, *jobs])
        run_script(script.replace(folder, str(tmp_path / "backups")), copy)
    [backup] = (tmp_path / "backups").iterdir()
    backup.rename(backup.with_name("2027-01-31.backup"))
    for file in (copy / "var").glob("mailboxes.sqlite3*"):
        file.unlink()
    run_script(f"{ALIAS}\n{restore}".replace(folder, str(tmp_path / "backups")), copy)
    with run_server(copy) as call:
        assert [mailbox["uuid"] for mailbox in call("/voip/mailbox", headers=headers)] == [
            created["uuid"]
        ]


def test_systemd_accepts_the_units(copy, tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        requirements.skip_or_fail("systemd", "systemd-analyze is not on this machine.")
    units = tmp_path / "units"
    units.mkdir()
    [install] = lines_of("systemd", "cp").splitlines()
    run_script(install.replace("/etc/systemd/system/", str(units)), copy)
    for unit in units.iterdir():
        unit.write_text(unit.read_text().replace("/srv/mailboxes", str(copy)))
    names = [
        name.replace("@", "@purge_deleted")
        for name in sorted(path.name for path in units.iterdir())
    ]
    done = subprocess.run(
        [program, "verify", "--man=no", *(units / name for name in names)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "mailboxes" not in done.stdout + done.stderr
