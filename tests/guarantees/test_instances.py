"""Three instances behind HAProxy (round-robin): a call gets the same answer from each."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import cycle
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.management import call_command

from mailboxes.models import Account, Mailbox
from mailboxes.staff import second_factor
from tests.authenticator import AuthenticatorApp
from tests.databases import default_database, headers_for
from tests.engines.engine import FORM, encode_form, engine_headers, parse_columns
from tests.guarantees.writers import LIST
from tests.postgres import free_port
from tests.proxies import HAProxy
from tests.security.browser import Browser, create_superuser
from tests.server import Server
from tests.service import OverSocket

LIMIT = 60
HTTPS = {"X-Forwarded-Proto": "https"}  # for calls that bypass the proxy


@pytest.fixture(scope="module")
def database(postgres):
    url = postgres.create(f"instances_{uuid4().hex}")
    with default_database(url):
        call_command("migrate", verbosity=0)
        create_superuser("rosa")
    return url


@pytest.fixture(scope="module")
def instances(database, redis_url):
    settings = {
        "HTTPS": "on",
        "TRUSTED_PROXIES": "127.0.0.1",
        "WEB_CONCURRENCY": "1",
        "CACHE_URL": redis_url,
        "RATE_LIMIT": f"{LIMIT}/hour",
    }
    servers = [Server(database, **settings) for _ in range(3)]
    with ExitStack() as running, ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(running.enter_context, servers))
        yield servers


@pytest.fixture(scope="module")
def proxy(instances):
    with HAProxy(instances) as running:
        yield running


@pytest.fixture
def account(database):
    with default_database(database):
        return Account.objects.create(name=f"a{uuid4().hex}")


@pytest.fixture
def headers(database, account):
    with default_database(database):
        return headers_for(account)


@pytest.fixture
def service(proxy, headers):
    """The service through the proxy: each call reaches the next instance."""
    service = OverSocket(headers, port=proxy.port)
    yield service
    service.close()


@pytest.fixture
def browser(proxy):
    """Rosa's browser, signed in."""
    with Browser(proxy.port) as browser:
        assert browser.sign_in().status == 302
        yield browser


def get_signed_in(browser) -> list[bool]:
    """Return for each instance True if the browser is signed in."""
    return [browser.get("/me/").status == 200 for _ in range(3)]


# --- Programs ----------------------------------------------------------------------


def test_calls_go_to_each_instance_in_turn(instances, service):
    before = [instance.output().count("GET /authenticated") for instance in instances]
    assert {service.get("/authenticated").status for _ in range(9)} == {200}
    after = [instance.output().count("GET /authenticated") for instance in instances]
    assert [more - less for more, less in zip(after, before, strict=True)] == [3, 3, 3]


def test_rate_limit_counts_calls_of_all_instances(service):
    if time.time() % 3600 > 3590:
        time.sleep(11)  # until the next hour, for which all calls are counted
    answers = [service.get("/authenticated") for _ in range(LIMIT + 3)]
    assert [answer.status for answer in answers] == [200] * LIMIT + [429] * 3
    left = [re.search(r"r=(\d+)", answer.headers["ratelimit"])[1] for answer in answers[:LIMIT]]
    assert [*map(int, left)] == [*reversed(range(LIMIT))]


def test_repeated_call_is_executed_once(service):
    key = {"Idempotency-Key": uuid4().hex}
    first, *others = [service.post(LIST, {"name": "Lobby"}, headers=key) for _ in range(4)]
    for answer in others:
        assert (answer.result, answer.headers["etag"]) == (first.result, first.headers["etag"])
        assert answer.headers["idempotency-replayed"] == "true"
    assert len(service.get(LIST).result) == 1


def test_simultaneous_repeated_calls_are_executed_once(proxy, headers, service):
    key = {"Idempotency-Key": uuid4().hex}

    def call(_):
        with closing(OverSocket(headers, port=proxy.port)) as caller:
            return caller.post(LIST, {"name": "Lobby"}, headers=key)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(call, range(6)))
    assert {answer.status for answer in answers} <= {201, 409}  # 409: the first is still running
    (mailbox,) = service.get(LIST).result
    created = [answer.result["uuid"] for answer in answers if answer.status == 201]
    assert set(created) == {mailbox["uuid"]}


def test_etag_is_the_same_on_all_instances(service):
    created = service.post(LIST, {"name": "Lobby"})
    mailbox, tag = f"{LIST}/{created.result['uuid']}", created.headers["etag"]
    cached = {"If-None-Match": tag}
    assert [service.get(mailbox, headers=cached).status for _ in range(3)] == [304] * 3
    assert service.patch(mailbox, {"beep": False}, headers={"If-Match": tag}).status == 200
    assert [service.get(mailbox, headers=cached).status for _ in range(3)] == [200] * 3
    outdated = {"If-Match": tag}
    statuses = [service.patch(mailbox, {"beep": True}, headers=outdated).status for _ in range(3)]
    assert statuses == [412] * 3
    list_etags = {service.get(LIST).headers["etag"] for _ in range(3)}
    assert len(list_etags) == 1


def test_change_is_visible_on_every_instance_at_once(database, account, instances, size, promise):
    """The next call to another instance sees a changed mailbox, a suspension and a revocation."""
    rounds, wrong = size(4, 60), []
    with default_database(database), ExitStack() as connections:
        engine = engine_headers(account) | HTTPS | FORM
        mailbox = Mailbox.objects.create(account=account, name="0")
        lookup = encode_form(mailbox=mailbox.pk, context=account.name)
        services = [OverSocket(port=instance.port) for instance in instances]
        for service in services:
            connections.callback(service.close)

        def read_name(service, headers):
            """Return the mailbox's name in API answers (or "refused"), and in the engine's answer.

            A third element means that the API's answers differ.
            """
            one = service.get(f"{LIST}/{mailbox.pk}", headers=headers)
            many = service.get(LIST, headers=headers)
            patched = service.patch(f"{LIST}/{mailbox.pk}", {}, headers=headers)
            found = service.call("POST", "/asterisk/voicemail/single", lookup, engine)
            if one.status == many.status == patched.status == 401:
                return "refused", found.status
            names = {one.result["name"], many.result[0]["name"], patched.result["name"]}
            return *names, parse_columns(found.body)["fullname"]

        for number, writer in zip(range(rounds), cycle(services), strict=False):
            name, headers = str(number), headers_for(account, name=uuid4().hex) | HTTPS
            others = [service for service in services if service is not writer]
            writer.patch(f"{LIST}/{mailbox.pk}", {"name": name}, headers=headers)
            wrong += [other for other in others if read_name(other, headers) != (name,) * 2]
            account.suspend()
            wrong += [each for each in services if read_name(each, headers) != ("refused", 401)]
            account.reactivate()
            wrong += [each for each in services if read_name(each, headers) != (name,) * 2]
            account.credentials.get(is_engine=False, revoked_at=None).revoke()
            wrong += [each for each in services if read_name(each, headers) != ("refused", 200)]
    tried = (
        f"{rounds} rounds of a changed mailbox, a suspended account and a revoked credential, "
        f"each read at once on {len(instances)} instances"
    )
    promise("A change is visible on every instance at once", tried, len(wrong))


# --- Staff -------------------------------------------------------------------------


def test_session_is_valid_and_ends_on_all_instances(browser):
    assert get_signed_in(browser) == [True] * 3
    assert browser.post("/sign-out/").status == 302
    assert get_signed_in(browser) == [False] * 3


def test_signed_out_session_is_invalid_on_all_instances(browser):
    stolen = dict(browser.cookies)
    browser.post("/sign-out/")
    browser.cookies = stolen
    assert get_signed_in(browser) == [False] * 3


def test_lock_out_counts_attempts_on_all_instances(database, proxy):
    with default_database(database):
        create_superuser("hugo")
    with Browser(proxy.port) as browser:
        statuses = [browser.sign_in("hugo", "wrong").status for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 429]
        assert [browser.sign_in("hugo").status for _ in range(3)] == [429] * 3


def test_code_of_the_second_factor_works_once_on_all_instances(database, proxy):
    with default_database(database):
        user = create_superuser("ida")
        app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(user)))
        second_factor.confirm_authenticator(user, app.code(ahead=-1))
    code = app.code()
    with Browser(proxy.port) as browser, ExitStack() as more:
        others = [more.enter_context(Browser(proxy.port)) for _ in range(3)]
        for each in (browser, *others):
            each.sign_in("ida")
            assert get_signed_in(each) == [False] * 3
        browser.post("/sign-in/code/", {"code": code})
        assert get_signed_in(browser) == [True] * 3
        for other in others:
            other.post("/sign-in/code/", {"code": code})
            assert get_signed_in(other) == [False] * 3


def test_style_sheet_has_the_same_name_and_content_on_all_instances(instances, browser):
    sheets = set(re.findall(rb'"(/static/[^"]+)"', browser.get("/me/").body))
    assert sheets
    for sheet in sheets:
        assert re.search(rb"\.[0-9a-f]{12}\.", sheet)  # a hash of its content
        answers = {browser.get(sheet.decode()).body for _ in range(3)}
        assert len(answers) == 1
        assert b"<title>" not in answers.pop()


def test_secret_is_shown_once_and_valid_on_all_instances(browser, proxy, account):
    page = f"/accounts/{account.name}/"
    issued = browser.post(f"{page}credentials/new/", {"name": "pbx"})
    (secret,) = set(re.findall(r"mbx_[\w-]{43}", issued.body.decode()))
    for path in (page, f"{page}credentials/new/", "/me/"):
        assert all(secret not in browser.get(path).body.decode() for _ in range(3))
    headers = {
        "X-Auth-Reseller": account.name,
        "X-Auth-User": "pbx",
        "X-Auth-Password": secret,
    }
    with closing(OverSocket(headers, port=proxy.port)) as service:
        assert [service.get("/authenticated").status for _ in range(3)] == [200] * 3


def test_change_is_undone_by_another_instance(browser, service):
    uuid = service.post(LIST, {"name": "Lobby"}).result["uuid"]
    assert browser.post(f"/mailboxes/{uuid}/delete/").status == 302
    assert service.get(f"{LIST}/{uuid}").status == 404
    page = browser.get("/").body.decode()
    assert "Deleted: “Lobby”." in page
    (undo,) = set(re.findall(r"/changes/[0-9a-f-]+/undo/", page))
    browser.post(undo)
    assert service.get(f"{LIST}/{uuid}").status == 200
    assert "The change of “Lobby” was undone." in browser.get("/").body.decode()
    browser.post(undo)
    assert "This change was already undone." in browser.get("/").body.decode()


def test_import_continues_on_other_instances(browser, service, account):
    browser.get("/import/")
    page = browser.upload("/import/", f"account,name\n{account.name},Sales\n").headers["location"]
    assert "1 created" in browser.get(page).body.decode()
    assert browser.post(f"{page}write/").status == 302
    assert [row["name"] for row in service.get(LIST).result] == ["Sales"]


# --- Failures ----------------------------------------------------------------------


def test_killed_instance_fails_no_call(instances, proxy, service, browser):
    def read_page(_):
        with closing(OverSocket(port=proxy.port)) as reader:
            return {reader.get("/sign-in/").status for _ in range(30)}

    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(read_page, range(4))
        instances[2].kill()
        assert list(statuses) == [{200}] * 4
    try:
        assert {service.get(LIST).status for _ in range(12)} == {200}
        assert get_signed_in(browser) == [True] * 3
    finally:
        instances[2].start()
    assert {service.get(LIST).status for _ in range(6)} == {200}


def test_engine_gets_no_error_page_if_all_instances_are_down():
    """An engine could read a page as a mailbox."""
    down = [SimpleNamespace(port=free_port()) for _ in range(3)]
    with HAProxy(down) as proxy, closing(OverSocket(port=proxy.port)) as engine:
        answer = engine.post("/asterisk/voicemail/single", "mailbox=x")
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "5", b"")
