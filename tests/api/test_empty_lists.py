"""Resources of the hosted API that this service does not have: their lists are empty."""

import pytest
from django.core.cache import cache

from mailboxes.models import Account
from tests.api.test_envelope import assert_envelope
from tests.service import InProcess

NAMES = ["user", "group", "phone-book", "flow", "queue-group"]


@pytest.mark.parametrize("name", NAMES)
def test_list_is_empty_with_a_credential(service, name):
    for path in (f"/voip/{name}", f"/voip/{name}/", f"/voip/{name}?limit=5"):
        answer = service.get(path)
        assert answer.json == {"result": [], "status_code": 200, "status_message": "OK"}
        assert answer.headers["content-type"] == "application/json"
    assert service.call("HEAD", f"/voip/{name}").status == 200


def test_list_is_empty_over_the_wire(wire):
    assert wire.get("/voip/user").result == []
    assert wire.get("/voip/user", headers=dict.fromkeys(wire.headers)).status == 401


@pytest.mark.parametrize("name", NAMES)
def test_list_without_a_good_credential_is_401(service, name):
    assert_envelope(InProcess().get(f"/voip/{name}"), 401)
    assert_envelope(service.get(f"/voip/{name}", headers={"X-Auth-Password": "wrong"}), 401)


def test_list_of_a_customer_is_empty_and_of_another_account_403(service, account, stranger):
    Account.objects.create(name="customer", reseller=account)
    assert service.get("/voip/user", headers={"X-Auth-For": "customer"}).result == []
    assert_envelope(service.get("/voip/user", headers={"X-Auth-For": stranger.name}), 403)


def test_list_counts_for_the_rate_limit(service, settings):
    settings.RATE_LIMIT = (2, 3600)
    cache.clear()  # of other tests' calls
    assert [service.get("/voip/user").status for _call in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_method_is_405(service, name, method):
    for caller in (service, InProcess()):
        answer = caller.call(method, f"/voip/{name}", {})
        assert_envelope(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_path_under_a_list_is_404(service, name, method):
    uuid = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
    for path in (f"/voip/{name}/{uuid}", f"/voip/{name}/x/y", f"/voip/{name}s"):
        assert_envelope(service.call(method, path), 404)
