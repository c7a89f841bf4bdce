"""A limit on the calls of one credential."""

import re

import pytest
from django.core.cache import cache

from mailboxes.models import Account
from tests.conftest import headers_for
from tests.service import InProcess


@pytest.fixture(autouse=True)
def limit(settings):
    """Three calls an hour: no test outlives the window by chance."""
    cache.clear()
    settings.RATE_LIMIT = (3, 3600)
    yield
    cache.clear()


def statuses(service, calls):
    return [service.get("/authenticated").status for _ in range(calls)]


def test_one_call_too_many_is_refused(service):
    assert statuses(service, 5) == [200, 200, 200, 429, 429]


def test_the_refusal_says_when_to_come_back(service):
    statuses(service, 3)
    answer = service.post("/voip/mailbox", {"name": "Sales"})
    assert answer.json["status_message"] == "Too Many Requests"
    assert answer.errors["non_field_errors"][0]["code"] == "throttled"
    assert 0 < int(answer.headers["retry-after"]) <= 3600


def test_every_answer_says_what_is_left(service):
    for path, left in (("/voip/mailbox", 2), ("/voip/mailbox/x", None), ("/authenticated", 1)):
        headers = service.get(path).headers
        if left is None:
            assert "ratelimit" not in headers  # an unknown path: nobody was asked who calls
            continue
        assert headers["ratelimit-policy"] == '"calls";q=3;w=3600'
        assert re.fullmatch(rf'"calls";r={left};t=\d+', headers["ratelimit"])


def test_so_does_a_304(service):
    tag = service.get("/voip/mailbox").headers["etag"]
    answer = service.get("/voip/mailbox", headers={"If-None-Match": tag})
    assert answer.status == 304
    assert answer.headers["ratelimit"].startswith('"calls";r=1;')


def test_each_credential_has_its_own(service, account):
    statuses(service, 4)
    assert statuses(InProcess(headers_for(account, "other")), 1) == [200]


def test_a_resellers_calls_for_a_customer_are_its_own(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    for _ in range(4):
        service.get("/voip/mailbox", headers={"X-Auth-For": "customer"})
    assert statuses(service, 1) == [429]
    assert statuses(InProcess(headers_for(customer)), 1) == [200]


def test_strangers_are_not_counted(service):
    for _ in range(5):
        assert service.get("/authenticated", headers={"X-Auth-User": "x"}).status == 401
    assert statuses(service, 1) == [200]


def test_the_document_is_not_limited(service):
    assert [service.get("/voip/schema").status for _ in range(5)] == [200] * 5


def test_with_the_cache_away_callers_are_served(service, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert statuses(service, 5) == [200] * 5
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
