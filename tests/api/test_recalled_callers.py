"""Who writes is known from an earlier call; that it is still so is found out as it is written."""

import time
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailboxes import models
from mailboxes.api import reading
from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

# As a call comes: in no transaction.
pytestmark = pytest.mark.django_db(transaction=True)

SET = {"name": "Sales", "password": "4829"}


@pytest.fixture
def path(service):
    """Of a mailbox that the caller has made."""
    return f"/voip/mailbox/{service.post('/voip/mailbox', {'name': 'Pete'}).result['uuid']}"


@pytest.fixture(params=["POST", "PUT", "PATCH"])
def write(request, service, path):
    """Writes, as a caller who has written before."""

    def write(body=SET, **headers):
        where = "/voip/mailbox" if request.param == "POST" else path
        return service.call(request.param, where, body, headers=headers)

    return write


@pytest.fixture
def as_it_was(path):
    """Whether nothing has been written since."""

    def rows():
        return list(Mailbox.objects.values()), Mailbox.history.count()

    before = rows()
    return lambda: rows() == before


def asked():
    """What is asked meanwhile for a credential by itself."""

    class Asked(CaptureQueriesContext):
        def __len__(self):
            statements = [query["sql"] for query in self.captured_queries]
            return sum("SELECT NULL" in statement for statement in statements)

    return Asked(connection)


def test_nobody_is_asked_who_calls(write):
    with asked() as statements:
        assert write().status in (200, 201)
    assert not statements


def test_history_says_whose_call_it_was(write):
    write()
    row = Mailbox.history.latest("history_id")
    assert (row.name, row.history_credential) == ("Sales", ApiCredential.objects.get())


def revoked():
    ApiCredential.objects.get().revoke()


def expired():
    ApiCredential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def suspended():
    Account.objects.get().suspend()


def renamed():
    ApiCredential.objects.update(name="other")


def account_renamed():
    Account.objects.update(name="other")


def removed():
    Mailbox.history.update(history_credential=None)
    ApiCredential.objects.all().delete()


def replaced():
    ApiCredential.objects.update(secret_sha256=ApiCredential.hash("another"))


def made_an_engines():
    ApiCredential.objects.update(is_engine=True)


def kept_out():
    ApiCredential.objects.update(networks="192.0.2.0/24")


REFUSED = [
    revoked,
    expired,
    suspended,
    renamed,
    account_renamed,
    removed,
    replaced,
    made_an_engines,
]


@pytest.mark.parametrize(("happens", "status"), [*((one, 401) for one in REFUSED), (kept_out, 403)])
def test_what_happened_since_is_heeded_at_once(write, as_it_was, happens, status):
    happens()
    for _ in range(2):
        answer = write()
        assert answer.status == status
        assert "ratelimit" not in answer.headers  # as for any stranger
    assert as_it_was()


@pytest.mark.parametrize("happens", REFUSED)
@pytest.mark.parametrize("body", ["{", {"name": ""}, {"name": "Sales", "password": "12"}])
def test_it_comes_before_what_is_wrong_with_the_call(write, happens, body):
    assert write(body).status == 400
    happens()
    assert write(body).status == 401


def test_it_comes_before_a_mailbox_that_is_not_there(service, path):
    Mailbox.objects.get().soft_delete()
    assert service.put(path, SET).status == 404
    revoked()
    assert service.put(path, SET).status == 401


def test_it_comes_before_the_limit(write, settings):
    settings.RATE_LIMIT = (1, 3600)
    assert [write().status in (200, 201), write().status] == [True, 429]
    revoked()
    assert write().status == 401


def test_a_call_is_counted_once(write, settings):
    settings.RATE_LIMIT = (100, 3600)
    left = [write(body).headers["ratelimit"].split(";")[1] for body in (SET, "{", SET)]
    ApiCredential.objects.update(networks="127.0.0.0/8")
    left.append(write().headers["ratelimit"].split(";")[1])
    first = int(left[0].removeprefix("r="))
    assert left == [f"r={first - number}" for number in range(4)]


def test_what_changed_and_does_no_harm_is_read_once_more(write):
    ApiCredential.objects.update(networks="127.0.0.0/8")
    before = Mailbox.history.count()
    counts = []
    for number in (1, 2, 3):
        with asked() as statements:
            assert write().status in (200, 201)
        assert Mailbox.history.count() == before + number
        counts.append(len(statements))
    assert counts == [1, 1, 0]  # as it is now; to be recalled; it is


def test_let_in_from_where_it_calls(write):
    """What is remembered of its networks keeps nobody out."""
    kept_out()
    assert [write().status, write().status] == [403, 403]
    ApiCredential.objects.update(networks="")
    assert [write().status in (200, 201), write().status in (200, 201)] == [True, True]


def test_revoked_while_it_is_kept_out(write, as_it_was):
    kept_out()
    assert [write().status, write().status] == [403, 403]
    revoked()
    assert write().status == 401
    assert as_it_was()


def test_revoked_while_it_is_being_remembered(service, path, as_it_was, monkeypatch):
    """Another thread may recall it as soon as it is there."""

    class Remembered(dict):
        def __setitem__(self, hashed, credential):
            super().__setitem__(hashed, credential)
            revoked()
            answers.append(service.post("/voip/mailbox", SET).status)

    answers: list[int] = []
    monkeypatch.setattr(models, "REMEMBERED", Remembered())
    answers.append(service.put(path, {"name": ""}).status)
    assert answers == [401, 401]
    assert as_it_was()


def test_whose_account_has_become_another(service, path, stranger):
    bearer = {"Authorization": f"Bearer {service.headers['X-Auth-Password']}"}
    anyone = InProcess(bearer)
    assert anyone.put(path, SET).status == 200
    of_another = Mailbox.objects.create(account=stranger, name="Another's")
    ApiCredential.objects.update(account=stranger)
    assert anyone.put(f"/voip/mailbox/{of_another.pk}", SET).status == 200
    assert anyone.put(path, SET).status == 404


def test_a_refused_call_is_no_use(service, path):
    """Not of one that was used before, either: staff read off when it was."""
    old = timezone.now() - timedelta(minutes=2)
    ApiCredential.objects.update(last_used_at=old)
    for credential in models.REMEMBERED.values():
        credential.last_used_at = old
    revoked()
    assert service.post("/voip/mailbox", SET).status == 401
    assert ApiCredential.objects.get().last_used_at == old


@pytest.mark.skipif(connection.vendor != "postgresql", reason="nobody can cut a file's connection")
def test_a_connection_that_has_died_is_replaced(write):
    """Nothing is lost by it, and nothing is written twice: it is known before."""
    before = Mailbox.history.count()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    other.close()
    time.sleep(0.2)
    assert write().status in (200, 201)
    assert Mailbox.history.count() == before + 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file has no locks of rows")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_who_may_not_write_any_more_waits_for_nobody(service, path, as_it_was, method):
    """Somebody else holds the mailbox: whoever waited for it would have another answer than 401."""
    revoked()
    with closing(connection.copy()) as other, other.cursor() as holds, connection.cursor() as own:
        holds.execute("BEGIN")
        holds.execute("SELECT * FROM mailboxes_mailbox FOR UPDATE")
        own.execute("SET lock_timeout = '2s'")
        try:
            assert service.call(method, path, SET).status == 401
        finally:
            own.execute("RESET lock_timeout")
    assert as_it_was()


def test_it_lets_nobody_in_by_other_names(service, path, as_it_was):
    for wrong in ({"X-Auth-User": "other"}, {"X-Auth-Reseller": "other"}):
        for secret in ({}, {"X-Auth-Password": "mbx_unknown"}):
            with asked() as statements:
                assert service.post("/voip/mailbox", SET, headers=wrong | secret).status == 401
            assert len(statements) == 1  # as many as for a secret that nobody has
    assert as_it_was()


def test_by_other_names_that_are_its_own_by_now(service, path):
    renamed()
    assert service.post("/voip/mailbox", SET).status == 401
    assert service.post("/voip/mailbox", SET, headers={"X-Auth-User": "other"}).status == 201


def test_an_engine_is_never_recalled(account, service, path):
    secret = headers_for(account, name="pbx", is_engine=True)["X-Auth-Password"]
    for _ in range(2):
        bearer = InProcess({"Authorization": f"Bearer {secret}"})
        assert bearer.post("/voip/mailbox", SET).status == 401


def test_who_acts_for_a_customer_is_asked(account, service, path):
    child = Account.objects.create(name="child", reseller=account)
    acting = {"X-Auth-For": "child"}
    with asked() as statements:
        assert service.post("/voip/mailbox", SET, headers=acting).status == 201
    assert len(statements) == 1
    child.suspend()
    assert service.post("/voip/mailbox", SET, headers=acting).status == 403


def test_written_meanwhile_by_another(service, path, monkeypatch):
    """Not by a change of the caller's: the mailbox is read again, and held."""
    read = reading.to_change

    def overtaken(*args):
        found = read(*args)
        if found.version == 1:
            Mailbox.objects.get().turn_transcription(True)
        return found

    monkeypatch.setattr(reading, "to_change", overtaken)
    answer = service.patch(path, {"name": "Sales"})
    assert (answer.status, answer.result["name"], answer.result["transcribe"]) == (
        200,
        "Sales",
        True,
    )


def test_its_use_is_written_down_all_the_same(service, path):
    credential = ApiCredential.objects.get()
    for _ in range(2):
        old = timezone.now() - timedelta(minutes=2)
        ApiCredential.objects.update(last_used_at=old)
        models.REMEMBERED[credential.secret_sha256].last_used_at = old
        service.post("/voip/mailbox", SET)
        assert ApiCredential.objects.get().last_used_at > old


def test_not_at_each_call(service, path):
    with CaptureQueriesContext(connection) as statements:
        service.post("/voip/mailbox", SET)
    assert not any("UPDATE" in query["sql"] for query in statements)


def test_so_many_are_recalled_and_no_more(account, monkeypatch):
    monkeypatch.setattr(models, "MAX_REMEMBERED", 2)
    models.REMEMBERED.clear()
    for number in range(5):
        service = InProcess(headers_for(account, name=f"api-{number}"))
        for _ in range(2):
            assert service.post("/voip/mailbox", SET).status == 201
        assert len(models.REMEMBERED) <= 2
