"""Bodies of pages: limited by path, and an upload is read only from staff who may import."""

import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.contract import MAX_BODY_BYTES
from mailboxes.http.bodies import MAX_REQUEST_FILES, MAX_SIGN_IN_BYTES, MAX_UPLOAD_BYTES
from mailboxes.models import Import, Mailbox
from mailboxes.temporary_folders import PREFIX
from tests.config.caller import Caller
from tests.conftest import database_url
from tests.security.browser import Browser, create_superuser
from tests.server import Server, until, workers

pytestmark = pytest.mark.django_db(transaction=True)

MULTIPART = "Content-Type: multipart/form-data; boundary=b"
URL_ENCODED = "Content-Type: application/x-www-form-urlencoded"
FILE_START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\n'
PAGES = {
    "/sign-in/": MAX_SIGN_IN_BYTES,
    "/sign-in/code/": MAX_SIGN_IN_BYTES,
    "/admin/login/": MAX_BODY_BYTES,
    "/admin/auth/user/add/": MAX_BODY_BYTES,
    "/mailboxes/new/": MAX_BODY_BYTES,
    "/no-such-page/": MAX_BODY_BYTES,
}


@pytest.fixture(scope="module")
def server(django_db_setup):
    """The server in one process."""
    with Server(database_url(), WEB_CONCURRENCY="1") as running:
        yield running


@pytest.fixture
def rosa(db):
    return create_superuser("rosa")


def sign_in(server, username="rosa") -> str:
    """Sign in, and return the Cookie header of the session."""
    with Browser(server.port, scheme="http") as browser:
        assert browser.sign_in(username).status == 302
        return f"Cookie: {browser.join_cookies()}"


def send_body(caller, path, size, *lines):
    """Send a request whose body has so many bytes, and stop if the server does not read it."""
    lines = [*(lines or [URL_ENCODED]), f"Content-Length: {size}"]
    body = FILE_START + b"x" * (size - len(FILE_START))
    with suppress(ConnectionError):
        caller.send_request(f"POST {path} HTTP/1.1", "Host: localhost", *lines, body=body)


@contextmanager
def unfinished_bodies(server, count, paths, *lines):
    """Open connections that have sent 1.5 MB of a body of 30 MB."""
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(server.port)) for _ in range(count)]
        for number, caller in enumerate(callers):
            path = paths[number % len(paths)]
            head = [f"POST {path} HTTP/1.1", "Host: localhost", *lines, "Content-Length: 30000000"]
            with suppress(ConnectionError):  # it may be refused already
                caller.send_request(*head, MULTIPART, body=FILE_START + b"x" * 1_500_000)
        yield callers


def count_files(server) -> int:
    """Return how many temporary files the server's process has open; they have no name."""
    [worker] = workers(server)
    targets = []
    for descriptor in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(FileNotFoundError):
            targets.append(os.readlink(descriptor))
    return sum(f"/{PREFIX}" in target and "(deleted)" in target for target in targets)


# --- Pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [URL_ENCODED, MULTIPART])
@pytest.mark.parametrize(("path", "most"), PAGES.items())
def test_larger_form_is_refused_with_a_page(server, path, most, content_type):
    with Caller(server.port) as caller:
        send_body(caller, path, most, content_type)
        assert caller.status() in (302, 400, 403, 404)
        send_body(caller, path, most + 1, content_type)
        status, headers, body = caller.answer()
        assert (status, headers["connection"], caller.is_closed()) == (413, "close", True)
        limit = "64 KiB" if most == MAX_SIGN_IN_BYTES else "1 MiB"
        assert f"The form is larger than {limit}: shorten what you entered." in body.decode()


def test_larger_form_without_a_length_is_refused(server):
    with Caller(server.port) as caller:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (100_000, b"x" * 100_000)
        lines = ["Host: localhost", "Transfer-Encoding: chunked"]
        caller.send_request("POST /sign-in/ HTTP/1.1", *lines, body=body)
        assert (caller.status(), caller.is_closed()) == (413, True)


def test_answer_to_a_much_larger_form_arrives(server):
    with Caller(server.port) as caller:
        send_body(caller, "/sign-in/", 15 * 1024**2, MULTIPART)
        assert caller.status() == 413


def test_endless_form_is_cut_off(server):
    with Caller(server.port) as caller:
        caller.send_request("POST /sign-in/ HTTP/1.1", "Content-Length: 3000000000")
        with pytest.raises(ConnectionError):
            caller.send(b"x" * 300_000_000)


# --- Uploads --------------------------------------------------------------------------------------


def create_staff(name, *permissions):
    user = create_superuser(name)
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def test_anonymous_upload_leads_to_the_sign_in_page(server):
    with Caller(server.port) as caller:
        send_body(caller, "/import/", 15 * 1024**2, MULTIPART, "Cookie: sessionid=free")
        status, headers, _body = caller.answer()
        assert (status, headers["location"]) == (302, "/sign-in/?next=/import/")
        assert (headers["connection"], caller.is_closed()) == ("close", True)


def test_upload_that_waits_for_permission_is_refused_without_its_body(server):
    with Caller(server.port) as caller:
        lines = ["Host: localhost", "Content-Length: 3000000", "Expect: 100-continue"]
        caller.send_request("POST /import/ HTTP/1.1", *lines)
        assert (caller.status(), caller.is_closed()) == (302, True)


def test_upload_without_the_right_is_refused(server):
    create_staff("hugo", "view_mailbox", "change_mailbox")
    with Caller(server.port) as caller:
        send_body(caller, "/import/", 2_000_000, MULTIPART, sign_in(server, "hugo"))
        status, headers, body = caller.answer()
        assert (status, headers["connection"], caller.is_closed()) == (403, "close", True)
        assert "You may not create mailboxes" in body.decode()
    until(lambda: f"id={headers['x-request-id']}" in server.output())
    assert "POST /import/ 403 " in server.output()


def test_upload_before_the_second_factor_is_refused(server, rosa):
    TOTPDevice.objects.create(user=rosa, name="Phone", confirmed=True)
    with Caller(server.port) as caller:
        send_body(caller, "/import/", 2_000_000, MULTIPART, sign_in(server))
        status, headers, _body = caller.answer()
        assert (status, headers["location"]) == (302, "/sign-in/code/?next=/")


def test_upload_of_permitted_staff_is_read(server, account):
    create_staff("hugo", "view_mailbox", "add_mailbox", "change_mailbox")
    lines = server.output().count(" /import/ ")
    with Browser(server.port, scheme="http") as browser:
        browser.sign_in("hugo")
        text = "account,name\n" + f"acme,{'x' * 90}{' ' * 200}\n" * 5_000
        answer = browser.upload("/import/", text)
    assert answer.status == 302
    assert (Import.objects.get().row_count, Mailbox.objects.count()) == (5_000, 0)
    until(lambda: f"id={answer.headers['x-request-id']}" in server.output())
    assert server.output().count(" /import/ ") == lines + 1


def test_larger_upload_is_refused_with_a_page(server, rosa):
    cookie = sign_in(server)
    with Caller(server.port) as caller:
        send_body(caller, "/import/", MAX_UPLOAD_BYTES + 1, MULTIPART, cookie)
        status, headers, body = caller.answer()
        assert (status, headers["connection"], caller.is_closed()) == (413, "close", True)
        assert "The file is larger than 32 MiB: split it." in body.decode()


# --- Files ----------------------------------------------------------------------------------------


def test_anonymous_bodies_are_written_to_no_file(server, rosa):
    cookie = sign_in(server)
    paths = [*PAGES, "/import/", "/voip/mailbox", "/asterisk/voicemail/single"]
    with unfinished_bodies(server, len(paths), paths, "Cookie: csrftoken=free"):
        with unfinished_bodies(server, 1, ["/import/"], cookie):
            until(lambda: count_files(server))
        assert count_files(server) <= 1


def test_anonymous_bodies_keep_no_staff_from_uploads(server, rosa):
    paths = [*PAGES, "/import/"]
    with (
        unfinished_bodies(server, 2 * MAX_REQUEST_FILES, paths),
        Browser(server.port, scheme="http") as browser,
    ):
        browser.sign_in()
        text = "account,name\n" + f"nobody,{'x' * 900}\n" * 1_500
        assert browser.upload("/import/", text).status == 302


def test_too_many_uploads_at_once_are_refused_with_a_page(server, rosa):
    cookie = sign_in(server)
    with unfinished_bodies(server, MAX_REQUEST_FILES, ["/import/"], cookie):
        until(lambda: count_files(server) == MAX_REQUEST_FILES)
        with unfinished_bodies(server, 1, ["/import/"], cookie) as [caller]:
            status, headers, body = caller.answer()
    assert (status, headers["retry-after"]) == (503, "5")
    assert "Too many large requests at once: try again later." in body.decode()
