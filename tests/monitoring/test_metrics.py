"""What Prometheus reads at /metrics of the real server: who may, what is counted, and by whom never."""

import os
import shutil
import signal
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from prometheus_client.parser import text_string_to_metric_families

from mailboxes.models import Mailbox
from tests.conftest import database_url, headers_for
from tests.security.browser import Browser
from tests.server import ROOT, Server, reload, until, workers
from tests.service import OverSocket, shows

CODE = "4829"
PROMETHEUS = {"X-Forwarded-For": "10.0.0.9", "Host": "10.0.0.1:8000"}  # by no name, without https

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def a_server():
    """The real server behind a proxy on this machine, with two workers."""
    with Server(
        database_url(),
        HTTPS="on",
        TRUSTED_PROXIES="127.0.0.1",
        METRICS_NETWORKS="10.0.0.0/8, 2001:db8::9",
        RATE_LIMIT="80/hour",
        WEB_CONCURRENCY="2",
    ) as running:
        yield running
    shutil.rmtree(ROOT / "var" / f"metrics-{running.port}")


@pytest.fixture(scope="module")
def measured(django_db_setup):
    with a_server() as running:
        yield running


@pytest.fixture
def service(measured, account):
    with closing(caller(measured, headers_for(account))) as service:
        yield service


def caller(server, headers=None) -> OverSocket:
    """A new connection: either worker may take it."""
    proxied = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    return OverSocket((headers or {}) | proxied, port=server.port)


def answer(server, **headers):
    """What somebody gets at /metrics."""
    with closing(OverSocket(headers, port=server.port)) as somebody:
        return somebody.get("/metrics")


def count(server, name="mailboxes_http_requests_total", **labels) -> float:
    """The sum of a figure's samples that have these labels."""
    found = answer(server, **PROMETHEUS)
    assert found.status == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(found.body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.long
def test_only_the_networks_named_may_read_it(measured):
    assert answer(measured, **PROMETHEUS).status == 200
    assert answer(measured, **PROMETHEUS).headers["content-type"].startswith("text/plain; version=")
    https = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    for address in ("192.0.2.7", "10.0.0.9, 192.0.2.7", "10.0.0.9, nonsense", "127.0.0.1"):
        assert answer(measured, **https, **{"X-Forwarded-For": address}).status == 404
    assert answer(measured, **https).status == 404


def test_an_address_of_ipv6_is_a_network_of_one(measured):
    https = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    for address, status in (("2001:db8::9", 200), ("2001:db8::8", 404)):
        assert answer(measured, **https, **{"X-Forwarded-For": address}).status == status


def test_without_the_setting_there_is_no_such_page(server):
    assert answer(server).status == 404


@contextmanager
def more(server, *figures):
    """Each figure, a number and the labels it is of, has grown by the number once this is left."""
    before = [count(server, **labels) for _, labels in figures]
    yield
    after = [count(server, **labels) for _, labels in figures]
    assert [b - a for a, b in zip(before, after, strict=True)] == [by for by, _ in figures]


def test_calls_are_counted_by_view_method_and_status_and_timed(service, measured):
    mine = {"view": "mailbox-list", "method": "GET"}
    seconds = "mailboxes_http_request_duration_seconds"
    with more(
        measured,
        (3, mine | {"status": "200"}),
        (1, {"view": "mailbox-list", "method": "POST", "status": "400"}),
        (1, {"view": "none", "status": "404"}),
        (1, {"view": "mailbox-detail", "method": "GET", "status": "404"}),
        (3, mine | {"name": f"{seconds}_count"}),
        (3, mine | {"name": f"{seconds}_bucket", "le": "+Inf"}),
        (6, {}),  # who reads the figures is not counted
    ):
        for _ in range(3):
            service.get("/voip/mailbox")
        service.post("/voip/mailbox", {"name": ""})
        service.get("/voip/nothing")
        service.get(f"/voip/mailbox/{uuid4()}")
    assert count(measured, f"{seconds}_sum", **mine) > 0


def test_refused_credentials_and_refused_sign_ins_are_counted(service, measured):
    with more(measured, (1, {"status": "401"}), (1, {"name": "mailboxes_sign_ins_refused_total"})):
        assert service.get("/authenticated", headers={"X-Auth-Password": "wrong"}).status == 401
        with Browser(measured.port) as browser:
            browser.sign_in(password="wrong")


@pytest.mark.usefixtures("service")  # whose credential is not this one
def test_throttled_calls_are_counted(measured, account):
    with (
        closing(caller(measured, headers_for(account, "busy"))) as busy,
        more(measured, (5, {"view": "authenticated", "status": "429"})),
    ):
        while busy.get("/authenticated").status != 429:
            pass  # its worker's share of the limit
        assert [busy.get("/authenticated").status for _ in range(4)] == [429] * 4


def test_it_tells_nothing_of_customers_callers_or_staff(service, measured, account):
    User.objects.create_superuser("rosa")
    mailbox = Mailbox.objects.create(account=account, name="Private line", password=CODE)
    recipient = mailbox.add_recipient("ann@acme.example")
    path = f"/voip/mailbox/{mailbox.pk}"
    for method in ("GET", "PATCH", "PROPFIND"):
        service.call(method, f"{path}?password={CODE}", {"password": CODE})
    service.get(f"{path}/email-recipient/{recipient.pk}")
    service.get(f"/{CODE}/acme")
    service.get("/accounts/acme/")
    service.get(f"/mailboxes/{mailbox.pk}/")
    service.get("/authenticated", headers={"X-Auth-Password": "wrong-secret"})
    with Browser(measured.port) as browser:
        browser.sign_in(username="rosa", password="hunter2")
    told = answer(measured, **PROMETHEUS).body.decode()
    assert 'view="mailbox-detail"' in told
    assert 'method="other"' in told
    kept = [mailbox.pk, recipient.pk, "acme", "Private", "wrong-secret", "hunter2", "rosa", "PROP"]
    kept += ["192.0.2", "/voip", *service.headers.values()]
    assert [word for word in kept if str(word) in told.replace("https", "")] == []
    assert not shows(told, CODE)


def ask(server, headers, times):
    """Calls on connections of their own, so that each worker gets some."""
    for _ in range(times):
        with closing(caller(server, headers)) as service:
            assert service.get("/authenticated").status == 200


@pytest.mark.long
def test_all_workers_are_counted_those_that_have_died_too(account):
    headers = headers_for(account)
    with a_server() as server:
        ask(server, headers, 12)
        assert [count(server, view="authenticated") for _ in range(6)] == [12] * 6
        before = workers(server)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: workers(server) - before)
        ask(server, headers, 12)
        assert [count(server, view="authenticated") for _ in range(6)] == [24] * 6


@pytest.mark.long
def test_counts_survive_a_reload_but_not_a_new_start(account):
    headers = headers_for(account)
    with a_server() as server:
        ask(server, headers, 5)
        reload(server)
        ask(server, headers, 5)
        assert [count(server, view="authenticated") for _ in range(4)] == [10] * 4
        server.kill()
        server.start()
        assert count(server) == 0
