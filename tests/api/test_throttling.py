"""The rate limit of a credential, in one process and, with CACHE_URL, in all together."""

import re
import socket
import time
from contextlib import ExitStack, closing
from uuid import UUID

import pytest
from django.core.cache import cache

from mailboxes.models import Account, ApiCredential
from tests.conftest import database_url, headers_for
from tests.server import Server
from tests.service import InProcess, OverSocket


@pytest.fixture(autouse=True)
def limit(settings):
    """Three calls an hour, a window long enough for any test."""
    cache.clear()
    settings.RATE_LIMIT = (3, 3600)
    yield
    cache.clear()


def call_repeatedly(service, calls):
    return [service.get("/authenticated").status for _ in range(calls)]


def test_calls_over_the_limit_are_429(service):
    assert call_repeatedly(service, 5) == [200, 200, 200, 429, 429]


def test_refusal_has_retry_after(service):
    call_repeatedly(service, 3)
    answer = service.post("/voip/mailbox", {"name": "Sales"})
    assert answer.json["status_message"] == "Too Many Requests"
    assert answer.errors["non_field_errors"][0]["code"] == "throttled"
    assert 0 < int(answer.headers["retry-after"]) <= 3600


def test_answer_has_the_remaining_calls(service):
    for path, remaining in (("/voip/mailbox", 2), ("/voip/mailbox/x", None), ("/authenticated", 1)):
        headers = service.get(path).headers
        if remaining is None:
            assert "ratelimit" not in headers  # the credential of an unknown path is not read
            continue
        assert headers["ratelimit-policy"] == '"calls";q=3;w=3600'
        assert re.fullmatch(rf'"calls";r={remaining};t=\d+', headers["ratelimit"])


def test_answer_304_has_the_remaining_calls(service):
    tag = service.get("/voip/mailbox").headers["etag"]
    answer = service.get("/voip/mailbox", headers={"If-None-Match": tag})
    assert answer.status == 304
    assert answer.headers["ratelimit"].startswith('"calls";r=1;')


def test_credentials_are_counted_separately(service, account):
    call_repeatedly(service, 4)
    assert call_repeatedly(InProcess(headers_for(account, "other")), 1) == [200]


def test_calls_for_a_customer_count_for_the_reseller(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    for _ in range(4):
        service.get("/voip/mailbox", headers={"X-Auth-For": "customer"})
    assert call_repeatedly(service, 1) == [429]
    assert call_repeatedly(InProcess(headers_for(customer)), 1) == [200]


@pytest.mark.parametrize("query", ["", "?through=view"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/voip/mailbox", {"X-Auth-For": "stranger"}, 403),
        ("GET", "/voip/mailbox", {"X-Auth-For": "nobody"}, 403),
        ("GET", "/voip/mailbox", {"X-Auth-For": "not a name"}, 403),
        ("GET", f"/voip/mailbox/{UUID(int=1)}", {}, 404),
        ("GET", f"/voip/mailbox/{UUID(int=1)}/history", {}, 404),
        ("POST", "/voip/mailbox", {}, 400),
        ("PUT", f"/voip/mailbox/{UUID(int=1)}", {"Content-Type": "text/plain"}, 415),
    ],
)
def test_refused_calls_count(service, stranger, method, path, headers, status, query):
    body = None if method == "GET" else "{"
    answers = [service.call(method, path + query, body, headers=headers) for _ in range(5)]
    assert [answer.status for answer in answers] == [status] * 3 + [429] * 2
    assert "r=2;" in answers[0].headers["ratelimit"]
    assert call_repeatedly(service, 1) == [429]


def test_calls_from_outside_the_networks_leave_the_owners_calls(account):
    caller = InProcess(headers_for(account, networks="192.0.2.1"))
    assert call_repeatedly(caller, 5) == [403, 403, 403, 429, 429]
    ApiCredential.objects.update(networks="127.0.0.1")
    assert call_repeatedly(caller, 4) == [200, 200, 200, 429]


def test_wrong_credentials_are_not_counted(service):
    for _ in range(5):
        assert service.get("/authenticated", headers={"X-Auth-User": "x"}).status == 401
    assert call_repeatedly(service, 1) == [200]


def test_schema_is_not_limited(service):
    assert [service.get("/voip/schema").status for _ in range(5)] == [200] * 5


def test_calls_are_served_if_the_cache_is_unavailable(service, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert call_repeatedly(service, 5) == [200] * 5
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def hanging_redis():
    """Yield the URL of a Redis that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_cache_that_hangs_is_not_asked_by_each_call(service, settings, hanging_redis):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": hanging_redis,
            "OPTIONS": {"socket_timeout": 0.5},
        }
    }
    start = time.monotonic()
    assert call_repeatedly(service, 5) == [200] * 5
    assert service.post("/voip/mailbox", {"name": "Sales"}).status == 201
    assert 0.5 <= time.monotonic() - start < 2
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_server_does_without_a_cache_that_hangs(hanging_redis):
    headers = headers_for(Account.objects.create(name="acme"))
    with (
        Server(database_url(), CACHE_URL=hanging_redis) as server,
        closing(OverSocket(headers, port=server.port)) as caller,
    ):
        start = time.monotonic()
        assert call_repeatedly(caller, 20) == [200] * 20
        assert time.monotonic() - start < 10


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_limit_is_exact_over_several_servers(redis_url):
    headers = headers_for(Account.objects.create(name="acme"))
    setting = {"CACHE_URL": redis_url, "RATE_LIMIT": "20/hour"}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(database_url(), **setting)) for _ in range(2)]
        callers = [
            stack.enter_context(closing(OverSocket(headers, port=server.port)))
            for server in servers
        ]
        if time.time() % 3600 > 3590:
            time.sleep(11)  # so that the calls are in one window
        statuses = [callers[n % 2].get("/authenticated").status for n in range(30)]
    assert statuses == [200] * 20 + [429] * 10
