"""Credentials of API calls: their headers, changes and networks, and calls for a customer."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess


def bearer(headers):
    return {"Authorization": f"Bearer {headers['X-Auth-Password']}"}


@pytest.fixture
def anonymous(db):
    """The service without credentials."""
    return InProcess()


@pytest.fixture
def headers(account):
    return headers_for(account)


@pytest.fixture
def family(account):
    """The names of the account's customers, four levels deep."""
    names = ["child", "grandchild", "great-grandchild", "great-great-grandchild"]
    above = account
    for name in names:
        above = Account.objects.create(name=name, reseller=above)
        Mailbox.objects.create(account=above, name=f"Box of {name}")
    return names


def test_three_headers_are_accepted(wire):
    assert wire.get("/authenticated").json == {
        "result": {},
        "status_code": 200,
        "status_message": "OK",
    }


def test_bearer_token_is_accepted(anonymous, headers):
    assert anonymous.get("/authenticated", headers=bearer(headers)).status == 200
    lower = {"Authorization": f"bearer {headers['X-Auth-Password']}"}
    assert anonymous.get("/authenticated", headers=lower).status == 200


def test_authorization_is_ignored_if_x_auth_password_is_sent(anonymous, headers):
    for wrong in ("wrong", ""):
        answer = anonymous.get(
            "/authenticated", headers=bearer(headers) | {"X-Auth-Password": wrong}
        )
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
def test_wrong_credentials_get_the_same_answer(anonymous, headers, stranger, change):
    answer = anonymous.get("/authenticated", headers=headers | change)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="mailboxes"'
    assert answer.body == b'{"result":{},"status_code":401,"status_message":"Unauthorized"}'


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "", "\xe9 \xe9"]
)
def test_wrong_authorization_is_401(anonymous, value):
    assert anonymous.get("/authenticated", headers={"Authorization": value}).status == 401


def test_wrong_credentials_take_one_query(anonymous, headers, django_assert_num_queries):
    for change in ({"X-Auth-User": "x"}, {"X-Auth-Reseller": "x"}, {"X-Auth-Password": "x"}):
        with django_assert_num_queries(1):
            anonymous.get("/authenticated", headers=headers | change)


def test_valid_credentials_take_one_query(anonymous, headers, django_assert_num_queries):
    anonymous.get("/authenticated", headers=headers)
    with django_assert_num_queries(1):
        anonymous.get("/authenticated", headers=headers)


BODY = {"name": "Sales", "password": "4829"}
CREDENTIAL_CHANGES = {
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
    "/voip/mailbox/{}/messages": ["GET", "POST"],
}


@pytest.mark.parametrize("change", CREDENTIAL_CHANGES)
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path in CALLS for method in CALLS[path]]
)
@pytest.mark.parametrize("body", [BODY, "{"])
def test_credential_made_invalid_is_refused_from_the_next_call_on(
    service, account, change, method, path, body
):
    """The refusal comes before errors of the call itself."""
    mailbox = Mailbox.objects.create(account=account, name="Pete")
    path = path.format(mailbox.pk)
    assert service.call(method, path, body).status not in (401, 403)
    before = list(Mailbox.objects.values()), Mailbox.history.count()
    CREDENTIAL_CHANGES[change]()
    answer = service.call(method, path, body)
    assert answer.status == (403 if change == "networks" else 401)
    assert ("ratelimit" in answer.headers) == (answer.status == 403)
    assert (list(Mailbox.objects.values()), Mailbox.history.count()) == before


def test_bearer_token_of_a_suspended_account_is_refused(anonymous, account, headers):
    account.suspend()
    assert anonymous.get("/authenticated", headers=bearer(headers)).status == 401


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
def test_credential_works_from_its_networks_only(anonymous, account, networks, status):
    headers = headers_for(account, networks=networks)
    assert anonymous.get("/authenticated", headers=headers).status == status
    assert anonymous.get("/authenticated", headers=bearer(headers)).status == status


def test_wrong_secret_from_a_wrong_network_is_401(anonymous, account):
    headers = headers_for(account, networks="192.0.2.1") | {"X-Auth-Password": "wrong"}
    assert anonymous.get("/authenticated", headers=headers).status == 401


def test_x_auth_for_reaches_customers_at_any_depth(service, family):
    for name in family:
        boxes = service.get("/voip/mailbox", headers={"X-Auth-For": name}).result
        assert [box["name"] for box in boxes] == [f"Box of {name}"]


def test_x_auth_for_works_with_a_bearer_token(anonymous, headers, family):
    answer = anonymous.get("/voip/mailbox", headers=bearer(headers) | {"X-Auth-For": "child"})
    assert answer.result[0]["name"] == "Box of child"


def test_mailbox_created_with_x_auth_for_belongs_to_the_customer(service, family):
    service.post("/voip/mailbox", {"name": "New"}, headers={"X-Auth-For": "grandchild"})
    created = Mailbox.objects.get(name="New")
    assert created.account.name == "grandchild"
    assert created.history.get().history_credential.account.name == "acme"


@pytest.mark.parametrize("name", ["", " ", "acme"])
def test_x_auth_for_that_is_empty_or_the_own_name_is_accepted(service, name):
    assert service.get("/authenticated", headers={"X-Auth-For": name}).status == 200


@pytest.mark.parametrize(
    "name", ["stranger", "nobody", "ACME", "é", "\x00", "x" * 9000, "child,acme"]
)
def test_x_auth_for_of_an_account_that_is_no_customer_is_403_even_if_it_exists(
    service, stranger, family, name
):
    answer = service.get("/voip/mailbox", headers={"X-Auth-For": name})
    assert answer.body == b'{"result":{},"status_code":403,"status_message":"Forbidden"}'


def test_refused_x_auth_for_takes_two_queries_whether_the_account_exists_or_not(
    service, stranger, family, django_assert_num_queries
):
    service.get("/authenticated")
    Account.objects.create(name="suspended", is_active=False)
    for name in ("stranger", "nobody", "suspended"):
        with django_assert_num_queries(2):  # the credential, and the account with its resellers
            assert service.get("/voip/mailbox", headers={"X-Auth-For": name}).status == 403


def test_customer_cannot_act_for_its_reseller(anonymous, family):
    headers = headers_for(Account.objects.get(name="child"))
    assert anonymous.get("/voip/mailbox", headers=headers | {"X-Auth-For": "acme"}).status == 403


def test_x_auth_for_of_a_suspended_customer_is_forbidden(service, family):
    Account.objects.filter(name="child").update(is_active=False)
    assert service.get("/voip/mailbox", headers={"X-Auth-For": "child"}).status == 403


def test_customers_of_a_suspended_reseller_are_served(service, anonymous, family):
    Account.objects.filter(name="child").update(is_active=False)
    assert service.get("/voip/mailbox", headers={"X-Auth-For": "grandchild"}).status == 200
    headers = headers_for(Account.objects.get(name="grandchild"))
    assert anonymous.get("/voip/mailbox", headers=headers).status == 200


def test_last_use_is_recorded_at_most_once_a_minute(anonymous, headers):
    anonymous.get("/authenticated", headers=headers)
    first = ApiCredential.objects.get().last_used_at
    anonymous.get("/authenticated", headers=headers)
    assert ApiCredential.objects.get().last_used_at == first
    ApiCredential.objects.update(last_used_at=first - timedelta(minutes=1))
    anonymous.get("/authenticated", headers=headers)
    assert ApiCredential.objects.get().last_used_at > first


def test_refused_call_is_not_recorded_as_a_use(anonymous, headers):
    anonymous.get("/authenticated", headers=headers | {"X-Auth-User": "x"})
    assert ApiCredential.objects.get().last_used_at is None


def test_secret_is_stored_only_as_a_hash(headers):
    row = ApiCredential.objects.values().get()
    secret = headers["X-Auth-Password"]
    assert not any(secret in str(value) for value in row.values())
    assert len(row["prefix"]) == 10
