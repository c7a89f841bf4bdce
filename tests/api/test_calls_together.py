"""Brief calls that have come at the same time are asked for at once, and each has the answer that it has alone."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import RequestFactory

from mailboxes import together
from mailboxes.api.direct import DirectCalls
from mailboxes.bodies import BufferedBodies
from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.statements import Statement
from tests.conftest import database_url, headers_for
from tests.server import Server
from tests.service import Answer, OverSocket

# As calls come: in no transaction.
pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/voip/mailbox"
ONE = f"{LIST}/5f9b7c1e-2e0f-4c57-8d2a-0c1f4b6a9d3e"
OF_THE_CALL = ("x-request-id", "ratelimit")
NAMES = ("acme", "zeta", "kappa")

application = BufferedBodies(DirectCalls(WSGIHandler()))


@pytest.fixture
def accounts():
    """The headers of each, which has two mailboxes that bear its name."""
    reseller = Account.objects.create(name=NAMES[0])
    others = [Account.objects.create(name=name, reseller=reseller) for name in NAMES[1:]]
    for account in (reseller, *others):
        for number in range(2):
            Mailbox.objects.create(account=account, name=f"{account} {number}", password="4829")
    return {account.name: headers_for(account) for account in (reseller, *others)}


def path_of(name, number=0):
    return f"{LIST}/{Mailbox.objects.get(name=f'{name} {number}').pk}"


def environ_of(path, headers):
    return RequestFactory(SERVER_NAME="localhost").get(path, headers=headers).environ


def answers(environs) -> list[Answer]:
    """As the server has them of the application, one after the other."""
    found = []
    for environ in environs:
        told = []
        pieces = application(
            environ, lambda status, headers, told=told: told.extend([status, headers])
        )
        body = b"".join(pieces)
        if hasattr(pieces, "close"):  # PEP 3333: it may have one
            pieces.close()
        headers = {name.lower(): value for name, value in told[1]}
        for name in OF_THE_CALL:
            headers.pop(name, None)
        found.append(Answer(int(told[0][:3]), headers, body))
    return found


def together_and_alone(*calls):
    environs = [environ_of(*call) for call in calls]
    environs[0][together.NEXT] = environs
    return answers(environs), answers(environ_of(*call) for call in calls)


@pytest.fixture
def alone(monkeypatch):
    """The mailboxes that statements of their own have asked for; None for a list."""
    asked, rows = [], Statement.rows

    def watched(statement, using="default", **given):
        asked.append(given.get("uuid"))
        return rows(statement, using, **given)

    monkeypatch.setattr(Statement, "rows", watched)
    return asked


def test_each_has_its_own(accounts):
    calls = [(path_of(name, number), accounts[name]) for name in NAMES for number in range(2)]
    calls += [(LIST, accounts[name]) for name in NAMES]
    at_once, one_by_one = together_and_alone(*random.sample(calls, len(calls)))
    assert at_once == one_by_one
    assert {answer.status for answer in at_once} == {200}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file is not asked for several")
def test_none_asks_by_itself(accounts, alone):
    environs = [environ_of(path_of(name), accounts[name]) for name in NAMES]
    environs.append(environ_of(LIST, accounts["acme"]))
    environs[0][together.NEXT] = environs
    assert [answer.status for answer in answers(environs)] == [200] * 4
    assert not alone


def test_by_bearer_as_well(accounts):
    bearer = {"Authorization": f"Bearer {accounts['acme']['X-Auth-Password']}"}
    calls = [(path_of("acme"), bearer), (path_of("zeta"), accounts["zeta"])]
    at_once, one_by_one = together_and_alone(*calls)
    assert at_once == one_by_one
    assert [answer.status for answer in at_once] == [200, 200]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        pytest.param("own", {"X-Auth-Password": "mbx_" + "x" * 43}, 401, id="wrong secret"),
        pytest.param("own", {"X-Auth-User": "somebody"}, 401, id="wrong name"),
        pytest.param("own", {"X-Auth-Password": None}, 401, id="no secret"),
        pytest.param("another's", {}, 404, id="another's mailbox"),
        pytest.param("nobody's", {}, 404, id="no mailbox"),
        pytest.param("own", {"X-Auth-For": "nobody"}, 403, id="not a customer"),
        pytest.param("own", {"If-None-Match": '"1"'}, 304, id="known already"),
        pytest.param("own", {"Accept": "text/html"}, 406, id="not as JSON"),
        pytest.param("own", {"Host": "elsewhere.example"}, 400, id="another host"),
    ],
)
def test_who_is_refused_changes_nothing_for_the_others(accounts, place, path, change, status):
    calls = [(path_of(name), accounts[name]) for name in NAMES]
    paths = {"own": calls[place][0], "another's": path_of(NAMES[place - 1])}
    headers = {name: value for name, value in (accounts[NAMES[place]] | change).items() if value}
    calls[place] = (paths.get(path, ONE), headers)
    at_once, one_by_one = together_and_alone(*calls)
    assert at_once == one_by_one
    assert [answer.status for answer in at_once] == [
        status if number == place else 200 for number in range(3)
    ]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file knows no moment without end")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_cannot_be_read_is_its_own_callers_trouble(accounts, place):
    calls = [(path_of(name), accounts[name]) for name in NAMES]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mailboxes_apicredential SET expires_at = 'infinity' WHERE account_id ="
            " (SELECT id FROM mailboxes_account WHERE name = %s)",
            [NAMES[place]],
        )
    at_once, one_by_one = together_and_alone(*calls)
    assert at_once == one_by_one
    assert [answer.status for answer in at_once] == [
        500 if number == place else 200 for number in range(3)
    ]


@pytest.mark.parametrize("change", ["revoked", "suspended", "deleted"])
def test_what_was_changed_before_they_came_is_seen(accounts, change):
    calls = [(path_of(name), accounts[name]) for name in NAMES]
    together_and_alone(*calls)
    if change == "revoked":
        ApiCredential.objects.get(account__name="zeta").revoke()
    elif change == "suspended":
        Account.objects.filter(name="zeta").update(is_active=False)
    else:
        Mailbox.objects.get(name="zeta 0").delete()
    at_once, one_by_one = together_and_alone(*calls)
    assert at_once == one_by_one
    assert [answer.status for answer in at_once] == [200, 404 if change == "deleted" else 401, 200]


def test_each_is_counted_for_its_own_credential(accounts, settings):
    settings.RATE_LIMIT = (2, 3600)
    calls = [(path_of("acme"), accounts["acme"])] * 3 + [(path_of("zeta"), accounts["zeta"])]
    environs = [environ_of(*call) for call in calls]
    environs[0][together.NEXT] = environs
    assert [answer.status for answer in answers(environs)] == [200, 200, 429, 200]


OWN = {"HTTP_X_AUTH_PASSWORD": "mbx_one"}


def told(path, bytes_told, headers=OWN):
    return {together.who_and_what({"RAW_URI": path} | headers): bytes_told}


@pytest.mark.parametrize(
    ("method", "path", "headers", "told", "is_brief"),
    [
        ("GET", ONE, {}, {}, True),
        ("GET", f"{ONE}/", {}, told(f"{ONE}/", 10**6), True),
        ("GET", LIST, {}, told(LIST, 10_000), True),
        ("GET", f"{LIST}/", {}, told(f"{LIST}/", 10_000), True),
        ("GET", LIST, {}, {}, False),
        ("GET", LIST, {}, told(LIST, 100_000), False),
        ("GET", LIST, {}, told(f"{LIST}?limit=1", 100), False),
        ("GET", LIST, {}, told(LIST, 100, {"HTTP_X_AUTH_PASSWORD": "mbx_another"}), False),
        ("GET", LIST, {}, told(LIST, 100, {"HTTP_AUTHORIZATION": "Bearer mbx_one"}), False),
        ("GET", ONE, {"HTTP_X_AUTH_FOR": "zeta"}, {}, False),
        ("GET", f"{ONE}/history", {}, told(f"{ONE}/history", 100), False),
        ("PUT", ONE, {}, told(ONE, 100), False),
        ("POST", LIST, {}, told(LIST, 100), False),
        ("GET", "/sign-in/", {}, told("/sign-in/", 100), False),
    ],
)
def test_for_which_others_wait(method, path, headers, told, is_brief):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "RAW_URI": path} | OWN | headers
    assert together.is_brief(environ, told) == is_brief


@pytest.mark.long
def test_at_a_real_server_each_hears_its_own_and_what_it_wrote(accounts):
    """More callers than are answered at once, of three accounts, each with a mailbox of its own."""
    with Server(database_url(), WEB_CONCURRENCY="1") as server:

        def call(number):
            name = NAMES[number % 3]
            writer, reader = (OverSocket(accounts[name], port=server.port) for _ in range(2))
            with closing(writer), closing(reader):
                made = writer.post(LIST, {"name": f"{name} of {number}"}).result["uuid"]
                for change in range(40):
                    own, other = f"{name} {number} {change}", path_of_another[name]
                    assert writer.patch(f"{LIST}/{made}", {"name": own}).status == 200
                    for _ in range(5):
                        assert reader.get(f"{LIST}/{made}").result["name"] == own
                    listed = reader.get(LIST).result
                    assert own in [mailbox["name"] for mailbox in listed]
                    assert {mailbox["name"].partition(" ")[0] for mailbox in listed} == {name}
                    assert reader.get(other).status == 404

        path_of_another = {name: path_of(NAMES[number - 1]) for number, name in enumerate(NAMES)}
        with ThreadPoolExecutor(24) as pool:
            list(pool.map(call, range(24)))  # raises what any of them has raised
