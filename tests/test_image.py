"""The container image: built by buildah on a Debian made by mmdebstrap, and run.

Neither needs an image registry. The packages of Python are downloaded once, outside the image.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import django
import pytest
from django.db import connection

from tests import requirements
from tests.clone import environment
from tests.postgres import free_port
from tests.server import ROOT, until
from tests.test_operations import HOST, fill_in

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        connection.vendor != "sqlite" or django.VERSION >= (6,),
        reason="The image is the same with every database and Django: it is built once.",
    ),
]

PIP = "[global]\nno-index = true\nfind-links = /wheels\n"
DEBIAN = "bookworm"


class Buildah:
    """Builds and runs images in a folder, in a chroot instead of in namespaces."""

    isolation = ("--isolation", "chroot", "--network", "host")

    def __init__(self, folder):
        self.folder = folder
        self.program = ["buildah", "--storage-driver", "vfs"]
        self.program += ["--root", folder / "images", "--runroot", folder / "run"]

    def __call__(self, *arguments) -> str:
        done = subprocess.run([*self.program, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    def import_debian(self, name):
        """Make an image of Debian, from the archive that this machine uses."""
        archive = self.folder / "debian.tar"
        command = ["mmdebstrap", "--variant=minbase", DEBIAN, archive]
        subprocess.run(command, check=True, capture_output=True)
        container = self("from", "scratch")
        self("add", container, archive, "/")
        self("run", *self.isolation, container, "--", "true")
        self("commit", container, name)
        self("rm", container)

    def build(self, base, tag):
        wheels, pip = self.folder / "wheels", self.folder / "pip.conf"
        download_packages(wheels)
        pip.write_text(PIP)
        mounts = ("--volume", f"{wheels}:/wheels:ro", "--volume", f"{pip}:/etc/pip.conf:ro")
        self("build", *self.isolation, *mounts, "--build-arg", f"BASE={base}", "--tag", tag, ROOT)

    def command(self, container, settings, *arguments) -> list:
        values = [f"--env={name}={value}" for name, value in settings.items()]
        return [*self.program, "run", *self.isolation, *values, container, "--", *arguments]


def download_packages(folder):
    """Download the locked packages for every Python: Debian's may be another than ours."""
    locked = (ROOT / "requirements/run.txt").read_text()
    unconditional = folder.with_suffix(".txt")
    unconditional.write_text(re.sub(r" ; [^\\\n]+", " ", locked))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    arguments = ["--requirement", unconditional, "--dest", folder]
    subprocess.run([*command, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def buildah():
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            requirements.skip_or_fail("buildah", f"{program} is not on this machine.")
    with tempfile.TemporaryDirectory(prefix="mailboxes-image-") as folder:
        buildah = Buildah(Path(folder))
        try:
            buildah.import_debian("localhost/debian")
        except (AssertionError, subprocess.CalledProcessError) as error:
            requirements.skip_or_fail("buildah", f"Debian cannot be installed in a chroot: {error}")
        buildah.build("localhost/debian", "mailboxes")
        yield buildah


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return the values of a filled-in .env.example."""
    file = tmp_path_factory.mktemp("settings") / ".env"
    file.write_text((ROOT / ".env.example").read_text())
    fill_in(file)
    return dict(re.findall(r"^([A-Z_]+)=(.+)$", file.read_text(), re.MULTILINE))


@contextmanager
def run_service(buildah, container, settings):
    """Run the command of the image on a free port, and yield the port."""
    image = json.loads(buildah("inspect", "--type", "image", "mailboxes"))
    port = free_port()
    command = [*image["OCIv1"]["config"]["Cmd"], "--port", str(port)]
    process = subprocess.Popen(
        buildah.command(container, settings, *command),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    started = re.search(r"Process (\d+) starts", process.stdout.readline())
    try:
        yield port
    finally:
        subprocess.run(["kill", started[1]], check=True)
        process.communicate(timeout=60)
    assert process.returncode == 0


def call(port, path, headers=()):
    headers = {"Host": HOST, "X-Forwarded-Proto": "https", **dict(headers)}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.URLError as error:
        return getattr(error, "code", None), b""


def test_image_is_built_migrates_and_serves_as_its_own_user(buildah, settings):
    container = buildah("from", "mailboxes")

    def run(*arguments) -> str:
        command = buildah.command(container, settings, *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert run("id", "--user", "--name").strip() == "mailboxes"
    assert "pg_dump" in run("pg_dump", "--version")
    run("python", "manage.py", "migrate")
    printed = run("python", "manage.py", "issue_credential", "acme", "api", "--create-account")
    headers = re.findall("^(X-Auth-.+): (.+)$", printed, re.MULTILINE)
    with run_service(buildah, container, settings) as port:
        until(lambda: call(port, "/readyz")[0] == 200)
        status, body = call(port, "/voip/mailbox", headers)
        assert (status, json.loads(body)["result"]) == (200, [])
        status, page = call(port, "/sign-in/")
        [style] = re.findall(rb'href="(/static/css/base\.\w+\.css)"', page)
        assert (status, call(port, style.decode())[0]) == (200, 200)
