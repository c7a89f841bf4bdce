"""Three instances behind a real HAProxy, round-robin: nothing that a process keeps matters to a caller."""

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
from tests.guarantees.ledger import LIST
from tests.postgres import free_port
from tests.proxies import HAProxy
from tests.security.browser import Browser, create_superuser
from tests.server import Server
from tests.service import OverSocket

LIMIT = 60
BY_PROXY = {"X-Forwarded-Proto": "https"}  # for calls past it


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
    """The service through the proxy: each call is another instance's."""
    service = OverSocket(headers, port=proxy.port)
    yield service
    service.close()


@pytest.fixture
def browser(proxy):
    """Rosa's, signed in."""
    with Browser(proxy.port) as browser:
        assert browser.sign_in().status == 302
        yield browser


def is_in(browser) -> list[bool]:
    """Whether it is, as each instance sees it."""
    return [browser.get("/me/").status == 200 for _ in range(3)]


# --- Programs ----------------------------------------------------------------------


def test_each_call_is_another_instances(instances, service):
    before = [instance.output().count("GET /authenticated") for instance in instances]
    assert {service.get("/authenticated").status for _ in range(9)} == {200}
    after = [instance.output().count("GET /authenticated") for instance in instances]
    assert [more - less for more, less in zip(after, before, strict=True)] == [3, 3, 3]


def test_calls_are_counted_together(service):
    if time.time() % 3600 > 3590:
        time.sleep(11)  # not across two windows
    answers = [service.get("/authenticated") for _ in range(LIMIT + 3)]
    assert [answer.status for answer in answers] == [200] * LIMIT + [429] * 3
    left = [re.search(r"r=(\d+)", answer.headers["ratelimit"])[1] for answer in answers[:LIMIT]]
    assert [*map(int, left)] == [*reversed(range(LIMIT))]


def test_a_call_that_is_repeated_is_done_once(service):
    key = {"Idempotency-Key": uuid4().hex}
    first, *others = [service.post(LIST, {"name": "Lobby"}, headers=key) for _ in range(4)]
    for answer in others:
        assert (answer.result, answer.headers["etag"]) == (first.result, first.headers["etag"])
        assert answer.headers["idempotency-replayed"] == "true"
    assert len(service.get(LIST).result) == 1


def test_a_call_that_comes_six_times_at_once_is_done_once(proxy, headers, service):
    key = {"Idempotency-Key": uuid4().hex}

    def call(_):
        caller = OverSocket(headers, port=proxy.port)
        answer = caller.post(LIST, {"name": "Lobby"}, headers=key)
        caller.close()
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(call, range(6)))
    assert {answer.status for answer in answers} <= {201, 409}  # 409: the first still ran
    (mailbox,) = service.get(LIST).result
    made = [answer.result["uuid"] for answer in answers if answer.status == 201]
    assert set(made) == {mailbox["uuid"]}


def test_an_entity_tag_is_everybodys(service):
    created = service.post(LIST, {"name": "Lobby"})
    mailbox, tag = f"{LIST}/{created.result['uuid']}", created.headers["etag"]
    same = {"If-None-Match": tag}
    assert [service.get(mailbox, headers=same).status for _ in range(3)] == [304] * 3
    assert service.patch(mailbox, {"beep": False}, headers={"If-Match": tag}).status == 200
    assert [service.get(mailbox, headers=same).status for _ in range(3)] == [200] * 3
    late = {"If-Match": tag}
    answers = [service.patch(mailbox, {"beep": True}, headers=late).status for _ in range(3)]
    assert answers == [412] * 3
    of_lists = {service.get(LIST).headers["etag"] for _ in range(3)}
    assert len(of_lists) == 1


def test_what_is_written_every_instance_knows_at_once(database, account, instances, size, promise):
    """The very next call to another instance: a mailbox, a suspension, a revocation; engines are told too."""
    rounds, wrong = size(4, 60), []
    with default_database(database), ExitStack() as connections:
        engine = engine_headers(account) | BY_PROXY | FORM
        mailbox = Mailbox.objects.create(account=account, name="0")
        lookup = encode_form(mailbox=mailbox.pk, context=account.name)
        services = [OverSocket(port=instance.port) for instance in instances]
        for service in services:
            connections.callback(service.close)

        def seen(service, headers):
            """The mailbox's name as each way to ask shows it, or that it was refused; so is a change of nothing."""
            one = service.get(f"{LIST}/{mailbox.pk}", headers=headers)
            many = service.get(LIST, headers=headers)
            kept = service.patch(f"{LIST}/{mailbox.pk}", {}, headers=headers)
            told = service.call("POST", "/asterisk/voicemail/single", lookup, engine)
            if one.status == many.status == kept.status == 401:
                return "refused", told.status
            names = {one.result["name"], many.result[0]["name"], kept.result["name"]}
            return *names, parse_columns(told.body)["fullname"]

        for number, writer in zip(range(rounds), cycle(services), strict=False):
            name, headers = str(number), headers_for(account, name=uuid4().hex) | BY_PROXY
            others = [service for service in services if service is not writer]
            writer.patch(f"{LIST}/{mailbox.pk}", {"name": name}, headers=headers)
            wrong += [other for other in others if seen(other, headers) != (name,) * 2]
            account.suspend()
            wrong += [each for each in services if seen(each, headers) != ("refused", 401)]
            account.reactivate()
            wrong += [each for each in services if seen(each, headers) != (name,) * 2]
            account.credentials.get(is_engine=False, revoked_at=None).revoke()
            wrong += [each for each in services if seen(each, headers) != ("refused", 200)]
    told = f"{rounds} times a mailbox changed, an account suspended, a credential revoked; each of 3 asked at once"
    promise("What is written, every instance knows at once", told, len(wrong))


# --- Staff -------------------------------------------------------------------------


def test_a_session_is_everybodys_and_ends_everywhere(browser):
    assert is_in(browser) == [True] * 3
    assert browser.post("/sign-out/").status == 302
    assert is_in(browser) == [False] * 3


def test_a_signed_out_session_is_nobodys(browser):
    stolen = dict(browser.cookies)
    browser.post("/sign-out/")
    browser.cookies = stolen
    assert is_in(browser) == [False] * 3


def test_wrong_passwords_are_counted_together(database, proxy):
    with default_database(database):
        create_superuser("hugo")
    with Browser(proxy.port) as browser:
        tries = [browser.sign_in("hugo", "wrong").status for _ in range(5)]
        assert tries == [200, 200, 200, 200, 429]
        assert [browser.sign_in("hugo").status for _ in range(3)] == [429] * 3


def test_a_code_is_taken_once(database, proxy):
    with default_database(database):
        user = create_superuser("ida")
        app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(user)))
        second_factor.confirm_authenticator(user, app.code(ahead=-1))
    code = app.code()
    with Browser(proxy.port) as browser, ExitStack() as more:
        others = [more.enter_context(Browser(proxy.port)) for _ in range(3)]
        for each in (browser, *others):
            each.sign_in("ida")
            assert is_in(each) == [False] * 3
        browser.post("/sign-in/code/", {"code": code})
        assert is_in(browser) == [True] * 3
        for other in others:
            other.post("/sign-in/code/", {"code": code})
            assert is_in(other) == [False] * 3


def test_a_style_sheet_has_the_same_name_and_content_everywhere(instances, browser):
    sheets = set(re.findall(rb'"(/static/[^"]+)"', browser.get("/me/").body))
    assert sheets
    for sheet in sheets:
        assert re.search(rb"\.[0-9a-f]{12}\.", sheet)  # a hash of its content
        answers = {browser.get(sheet.decode()).body for _ in range(3)}
        assert len(answers) == 1
        assert b"<title>" not in answers.pop()


def test_a_secret_is_shown_once_and_good_everywhere(browser, proxy, account):
    page = f"/accounts/{account.name}/"
    issued = browser.post(f"{page}credentials/new/", {"name": "pbx"})
    (secret,) = set(re.findall(r"mbx_[\w-]{43}", issued.body.decode()))
    for path in (page, f"{page}credentials/new/", "/me/"):
        assert all(secret not in browser.get(path).body.decode() for _ in range(3))
    shown = {
        "X-Auth-Reseller": account.name,
        "X-Auth-User": "pbx",
        "X-Auth-Password": secret,
    }
    service = OverSocket(shown, port=proxy.port)
    assert [service.get("/authenticated").status for _ in range(3)] == [200] * 3
    service.close()


def test_what_was_done_is_undone_by_another(browser, service):
    uuid = service.post(LIST, {"name": "Lobby"}).result["uuid"]
    assert browser.post(f"/mailboxes/{uuid}/delete/").status == 302
    assert service.get(f"{LIST}/{uuid}").status == 404
    page = browser.get("/").body.decode()
    assert "Deleted: “Lobby”." in page
    (undo,) = set(re.findall(r"/changes/[0-9a-f-]+/undo/", page))
    browser.post(undo)
    assert service.get(f"{LIST}/{uuid}").status == 200
    assert "Undone: “Lobby”." in browser.get("/").body.decode()
    browser.post(undo)
    assert "This change was already undone." in browser.get("/").body.decode()


def test_a_file_is_staged_checked_and_written_by_three(browser, service, account):
    browser.get("/import/")
    page = browser.upload("/import/", f"account,name\n{account.name},Sales\n").headers["location"]
    assert "1 created" in browser.get(page).body.decode()
    assert browser.post(f"{page}write/").status == 302
    assert [row["name"] for row in service.get(LIST).result] == ["Sales"]


# --- Machines ----------------------------------------------------------------------


def test_one_that_dies_is_missed_by_nobody(instances, proxy, service, browser):
    """Who reads while it dies is answered by another; so is everybody after that."""

    def read(_):
        reader = OverSocket(port=proxy.port)
        statuses = {reader.get("/sign-in/").status for _ in range(30)}
        reader.close()
        return statuses

    with ThreadPoolExecutor(4) as pool:
        reading = pool.map(read, range(4))
        instances[2].kill()
        assert list(reading) == [{200}] * 4
    try:
        assert {service.get(LIST).status for _ in range(12)} == {200}
        assert is_in(browser) == [True] * 3
    finally:
        instances[2].start()
    assert {service.get(LIST).status for _ in range(6)} == {200}


def test_where_none_is_left_an_engine_gets_no_page_to_take_for_a_mailbox():
    nowhere = [SimpleNamespace(port=free_port()) for _ in range(3)]
    with HAProxy(nowhere) as proxy, closing(OverSocket(port=proxy.port)) as engine:
        answer = engine.post("/asterisk/voicemail/single", "mailbox=x")
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "5", b"")
