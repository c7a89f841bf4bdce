"""Recordings in a bucket, on a real server that speaks S3."""

import os
import re
import subprocess
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from mailboxes.models import Message
from tests import requirements
from tests.ceph import CephServer
from tests.databases import default_database, on_sqlite
from tests.recordings import make_form, make_wav
from tests.s3 import S3Server
from tests.server import PreparedServer
from tests.service import OverSocket

pytest.importorskip("boto3")
NAME = "0a/1b/0a1b" + "2" * 28


@pytest.fixture(scope="module", params=["nanio", pytest.param("ceph", marks=pytest.mark.long)])
def s3(request, tmp_path_factory):
    if request.param == "ceph" and not requirements.has_ceph():
        requirements.skip_or_fail("ceph", "Ceph's programs are not on this machine, or not root.")
    kind = CephServer if request.param == "ceph" else S3Server
    with ExitStack() as stack:
        try:
            running = stack.enter_context(kind(tmp_path_factory.mktemp("s3")))
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            requirements.skip_or_fail(
                "ceph" if kind is CephServer else "s3", f"The server does not start: {error!r}."
            )
        yield running


@pytest.fixture
def store(s3):
    """Return the bucket, empty."""
    store = s3.open_store()
    store.bucket.objects.all().delete()
    return store


def read(store, name) -> bytes:
    with store.open(name) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, 12_000_000])
def test_recording_is_saved_and_read(store, size):
    content = os.urandom(size)
    assert store.save(NAME, ContentFile(content)) == NAME
    assert read(store, NAME) == content


def test_recording_is_replaced_and_deleted(store):
    store.save(NAME, ContentFile(b"old"))
    with ContentFile(b"new") as file:
        store.replace(NAME, file)
    assert read(store, NAME) == b"new"
    store.delete(NAME)
    store.delete(NAME)
    with pytest.raises(FileNotFoundError):
        store.open(NAME)


def test_walk_yields_recordings_only(store):
    for name in (NAME, "notes.txt", "0a/1b/ffff" + "2" * 28):
        store.save(name, ContentFile(b"x"))
    ((name, saved_at),) = store.walk()
    assert name == NAME
    assert abs(saved_at - timezone.now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "options",
    [
        {"secret_key": "wrong"},
        {"bucket_name": "missing"},
        {"endpoint_url": "http://127.0.0.1:1"},
    ],
)
def test_fault_of_the_bucket_is_an_os_error(s3, store, options):
    wrong = s3.open_store(**options)
    actions = [
        lambda: wrong.save(NAME, ContentFile(b"x")),
        lambda: wrong.open(NAME),
        lambda: wrong.delete(NAME),
        lambda: wrong.replace(NAME, ContentFile(b"x")),
        lambda: list(wrong.walk()),
    ]
    for action in actions:
        with pytest.raises(OSError, match=r"\w") as failed:
            action()
        assert type(failed.value) is OSError


@pytest.fixture
def served(databases, s3, store):
    """Yield a server with its recordings in the bucket, a caller and the path of a mailbox."""
    url = databases.empty()
    with (
        PreparedServer(url, **s3.environment) as server,
        closing(OverSocket(server.headers, port=server.port)) as service,
    ):
        mailbox = service.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
        yield server, service, f"/voip/mailbox/{mailbox}/messages"


@pytest.mark.long
@on_sqlite
def test_message_is_added_heard_and_removed(served, store):
    server, service, path = served
    wav = make_wav()
    uuid = service.post(path, **make_form(wav)).result["uuid"]
    assert service.get(f"{path}/{uuid}/recording").body == wav
    part = service.get(f"{path}/{uuid}/recording", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, wav[10:20])
    ((name, _),) = store.walk()
    assert b"RIFF" not in read(store, name)
    service.delete(f"{path}/{uuid}")
    with default_database(server.environment["DATABASE_URL"]):
        Message.objects.update(deleted_at=timezone.now() - timedelta(days=31))
    assert "Removed 1 deleted messages." in server.manage("purge_deleted")
    assert list(store.walk()) == []


@pytest.mark.long
@on_sqlite
def test_bucket_that_does_not_answer_is_503(served, s3, store):
    _server, service, path = served
    uuid = service.post(path, **make_form(make_wav())).result["uuid"]
    s3.stop()
    try:
        answers = [
            service.post(path, **make_form(make_wav())),
            service.get(f"{path}/{uuid}/recording"),
        ]
    finally:
        s3.start()
    for answer, text in zip(answers, ("stored", "read"), strict=True):
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert f"The recording cannot be {text}: try again later." in answer.body.decode()
    assert service.get(path).headers["x-total-count"] == "1"
    assert service.post(path, **make_form(make_wav())).status == 201
    assert len(list(store.walk())) == 2


@pytest.mark.long
@on_sqlite
def test_backup_checks_that_the_bucket_has_each_recording(served, store, tmp_path):
    server, service, path = served
    for _ in range(2):
        service.post(path, **make_form(make_wav()))
    done = server.manage("backup", str(tmp_path / "1"))
    assert re.search(r"rows in \d+ tables, 2 recordings in the bucket\.", done)
    name, _ = next(store.walk())
    store.delete(name)
    with pytest.raises(Exception, match="status 1"):
        server.manage("backup", str(tmp_path / "2"))
