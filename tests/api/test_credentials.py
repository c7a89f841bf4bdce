from datetime import timedelta

import pytest
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess


def bearer(headers):
    return {"Authorization": f"Bearer {headers['X-Auth-Password']}"}


@pytest.fixture
def anyone(db):
    """The service, called without credentials unless a call brings some."""
    return InProcess()


@pytest.fixture
def headers(account):
    return headers_for(account)


@pytest.fixture
def family(account):
    """Customers of the account, four levels deep."""
    names = ["child", "grandchild", "great-grandchild", "great-great-grandchild"]
    above = account
    for name in names:
        above = Account.objects.create(name=name, reseller=above)
        Mailbox.objects.create(account=above, name=f"Box of {name}")
    return names


def test_the_three_headers(wire):
    assert wire.get("/authenticated").json == {
        "result": {},
        "status_code": 200,
        "status_message": "OK",
    }


def test_the_secret_alone_as_bearer(anyone, headers):
    assert anyone.get("/authenticated", headers=bearer(headers)).status == 200
    lower = {"Authorization": f"bearer {headers['X-Auth-Password']}"}
    assert anyone.get("/authenticated", headers=lower).status == 200


def test_with_any_x_auth_password_authorization_is_ignored(anyone, headers):
    for wrong in ("wrong", ""):
        answer = anyone.get("/authenticated", headers=bearer(headers) | {"X-Auth-Password": wrong})
        assert answer.status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"X-Auth-Reseller": None},
        {"X-Auth-User": None},
        {"X-Auth-Password": None},
        {"X-Auth-Reseller": "stranger"},
        {"X-Auth-Reseller": "ACME"},
        {"X-Auth-User": "other"},
        {"X-Auth-User": "API"},
        {"X-Auth-User": ""},
        {"X-Auth-Password": "mbx_wrong"},
        {"X-Auth-Password": ""},
        {"X-Auth-Password": "é"},
        {"X-Auth-Reseller": "é", "X-Auth-User": "\x00"},
        {"X-Auth-Reseller": None, "X-Auth-User": None, "X-Auth-Password": None},
    ],
)
def test_any_wrong_part_gets_the_same_answer(anyone, headers, stranger, change):
    answer = anyone.get("/authenticated", headers=headers | change)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="mailboxes"'
    assert answer.body == b'{"result":{},"status_code":401,"status_message":"Unauthorized"}'


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "", "\xe9 \xe9"]
)
def test_a_wrong_authorization_gets_it_too(anyone, value):
    assert anyone.get("/authenticated", headers={"Authorization": value}).status == 401


def test_whichever_part_is_wrong_one_query_finds_out(anyone, headers, django_assert_num_queries):
    for change in ({"X-Auth-User": "x"}, {"X-Auth-Reseller": "x"}, {"X-Auth-Password": "x"}):
        with django_assert_num_queries(1):
            anyone.get("/authenticated", headers=headers | change)


def test_a_good_one_costs_one_query(anyone, headers, django_assert_num_queries):
    anyone.get("/authenticated", headers=headers)
    with django_assert_num_queries(1):
        anyone.get("/authenticated", headers=headers)


SET = {"name": "Sales", "password": "4829"}
CHANGES = {
    "revoked": lambda: ApiCredential.objects.get().revoke(),
    "expired": lambda: ApiCredential.objects.update(expires_at=timezone.now()),
    "suspended": lambda: Account.objects.get().suspend(),
    "renamed": lambda: ApiCredential.objects.update(name="other"),
    "account renamed": lambda: Account.objects.update(name="other"),
    "deleted": lambda: ApiCredential.objects.all().delete(),
    "an engine's": lambda: ApiCredential.objects.update(is_engine=True),
    "replaced": lambda: ApiCredential.objects.update(secret_sha256=ApiCredential.hash("other")),
    "networks": lambda: ApiCredential.objects.update(networks="192.0.2.0/24"),
}
CALLS = {
    "/authenticated": ["GET"],
    "/voip/mailbox": ["GET", "POST"],
    "/voip/mailbox/{}": ["GET", "PUT", "PATCH", "DELETE"],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path in CALLS for method in CALLS[path]]
)
@pytest.mark.parametrize("body", [SET, "{"])
def test_credential_change_is_heeded_by_the_next_call(service, account, change, method, path, body):
    """It comes before what is wrong with the call itself."""
    mailbox = Mailbox.objects.create(account=account, name="Pete")
    path = path.format(mailbox.pk)
    assert service.call(method, path, body).status not in (401, 403)
    before = list(Mailbox.objects.values()), Mailbox.history.count()
    CHANGES[change]()
    answer = service.call(method, path, body)
    assert answer.status == (403 if change == "networks" else 401)
    assert "ratelimit" not in answer.headers  # as for any stranger
    assert (list(Mailbox.objects.values()), Mailbox.history.count()) == before


def test_suspended_accounts_bearer_token_is_refused(anyone, account, headers):
    account.suspend()
    assert anyone.get("/authenticated", headers=bearer(headers)).status == 401


@pytest.mark.parametrize(
    ("networks", "status"),
    [
        ("", 200),
        ("127.0.0.1", 200),
        ("192.0.2.0/24, 127.0.0.0/8", 200),
        ("192.0.2.0/24", 403),
        ("::1", 403),
    ],
)
def test_it_works_from_its_networks_only(anyone, account, networks, status):
    headers = headers_for(account, networks=networks)
    assert anyone.get("/authenticated", headers=headers).status == status
    assert anyone.get("/authenticated", headers=bearer(headers)).status == status


def test_a_wrong_secret_from_a_wrong_network_is_still_401(anyone, account):
    headers = headers_for(account, networks="192.0.2.1") | {"X-Auth-Password": "wrong"}
    assert anyone.get("/authenticated", headers=headers).status == 401


def test_x_auth_for_reaches_customers_at_any_depth(service, family):
    for name in family:
        boxes = service.get("/voip/mailbox", headers={"X-Auth-For": name}).result
        assert [box["name"] for box in boxes] == [f"Box of {name}"]


def test_x_auth_for_works_with_bearer_too(anyone, headers, family):
    answer = anyone.get("/voip/mailbox", headers=bearer(headers) | {"X-Auth-For": "child"})
    assert answer.result[0]["name"] == "Box of child"


def test_what_is_made_for_a_customer_is_the_customers(service, family):
    service.post("/voip/mailbox", {"name": "Made"}, headers={"X-Auth-For": "grandchild"})
    made = Mailbox.objects.get(name="Made")
    assert made.account.name == "grandchild"
    assert made.history.get().history_credential.account.name == "acme"


@pytest.mark.parametrize("none", ["", " ", "acme"])
def test_an_empty_x_auth_for_or_ones_own_name_means_oneself(service, none):
    assert service.get("/authenticated", headers={"X-Auth-For": none}).status == 200


@pytest.mark.parametrize(
    "name", ["stranger", "nobody", "ACME", "é", "\x00", "x" * 9000, "child,acme"]
)
def test_who_is_no_customer_is_forbidden_whether_it_exists_or_not(service, stranger, family, name):
    answer = service.get("/voip/mailbox", headers={"X-Auth-For": name})
    assert answer.body == b'{"result":{},"status_code":403,"status_message":"Forbidden"}'


def test_whoever_is_named_it_takes_the_same_queries(
    service, stranger, family, django_assert_num_queries
):
    service.get("/authenticated")
    Account.objects.create(name="suspended", is_active=False)
    for name in ("stranger", "nobody", "suspended"):
        with django_assert_num_queries(2):  # the credential, and the one named with all above it
            assert service.get("/voip/mailbox", headers={"X-Auth-For": name}).status == 403


def test_a_customer_may_not_act_for_its_reseller(anyone, family):
    headers = headers_for(Account.objects.get(name="child"))
    assert anyone.get("/voip/mailbox", headers=headers | {"X-Auth-For": "acme"}).status == 403


def test_a_suspended_customer_is_forbidden(service, family):
    Account.objects.filter(name="child").update(is_active=False)
    assert service.get("/voip/mailbox", headers={"X-Auth-For": "child"}).status == 403


def test_suspending_a_reseller_does_not_suspend_its_customers(service, anyone, family):
    Account.objects.filter(name="child").update(is_active=False)
    assert service.get("/voip/mailbox", headers={"X-Auth-For": "grandchild"}).status == 200
    headers = headers_for(Account.objects.get(name="grandchild"))
    assert anyone.get("/voip/mailbox", headers=headers).status == 200


def test_the_time_of_use_is_written_at_most_once_a_minute(anyone, headers):
    anyone.get("/authenticated", headers=headers)
    first = ApiCredential.objects.get().last_used_at
    anyone.get("/authenticated", headers=headers)
    assert ApiCredential.objects.get().last_used_at == first
    ApiCredential.objects.update(last_used_at=first - timedelta(minutes=1))
    anyone.get("/authenticated", headers=headers)
    assert ApiCredential.objects.get().last_used_at > first


def test_a_refused_call_is_no_use(anyone, headers):
    anyone.get("/authenticated", headers=headers | {"X-Auth-User": "x"})
    assert ApiCredential.objects.get().last_used_at is None


def test_the_secret_is_stored_only_as_a_hash(headers):
    row = ApiCredential.objects.values().get()
    secret = headers["X-Auth-Password"]
    assert not any(secret in str(value) for value in row.values())
    assert len(row["prefix"]) == 10
