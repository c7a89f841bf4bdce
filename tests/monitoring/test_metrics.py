"""/metrics of a real server: access, figures, and no data of customers."""

import os
import shutil
import signal
from contextlib import closing, contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from prometheus_client.parser import text_string_to_metric_families

from mailboxes.models import Mailbox, ServerProcess
from tests.conftest import database_url, headers_for
from tests.delivery.tasks import note
from tests.security.browser import Browser
from tests.server import ROOT, Server, reload, until, workers
from tests.service import OverSocket, shows

CODE = "4829"
# Prometheus calls the IP address of the host, without HTTPS.
PROMETHEUS = {"X-Forwarded-For": "10.0.0.9", "Host": "10.0.0.1:8000"}

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def measured_server():
    """Start a server with metrics and two workers, behind a proxy on this machine."""
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
    with measured_server() as running:
        yield running


@pytest.fixture
def service(measured, account):
    with closing(connect(measured, headers_for(account))) as service:
        yield service


def connect(server, headers=None) -> OverSocket:
    """Open a new connection, which either worker may accept."""
    proxied = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    return OverSocket((headers or {}) | proxied, port=server.port)


def get_metrics(server, **headers):
    with closing(OverSocket(headers, port=server.port)) as service:
        return service.get("/metrics")


def sum_samples(server, name="mailboxes_http_requests_total", **labels) -> float:
    """Return the sum of the metric's samples with these labels."""
    answer = get_metrics(server, **PROMETHEUS)
    assert answer.status == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.long
def test_caller_from_another_network_gets_404(measured):
    answer = get_metrics(measured, **PROMETHEUS)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    https = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    for address in ("192.0.2.7", "10.0.0.9, 192.0.2.7", "10.0.0.9, nonsense", "127.0.0.1"):
        assert get_metrics(measured, **https, **{"X-Forwarded-For": address}).status == 404
    assert get_metrics(measured, **https).status == 404


def test_ipv6_address_in_the_setting_allows_that_address_only(measured):
    https = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    for address, status in (("2001:db8::9", 200), ("2001:db8::8", 404)):
        assert get_metrics(measured, **https, **{"X-Forwarded-For": address}).status == status


def test_metrics_are_404_without_the_setting(server):
    assert get_metrics(server).status == 404


@contextmanager
def assert_increases(server, *figures):
    """Assert that the samples with these labels increase by these numbers."""
    before = [sum_samples(server, **labels) for _, labels in figures]
    yield
    after = [sum_samples(server, **labels) for _, labels in figures]
    assert [b - a for a, b in zip(before, after, strict=True)] == [number for number, _ in figures]


def test_calls_are_counted_and_timed_by_view_method_and_status(service, measured):
    mine = {"view": "mailbox-list", "method": "GET"}
    seconds = "mailboxes_http_request_duration_seconds"
    with assert_increases(
        measured,
        (3, mine | {"status": "200"}),
        (1, {"view": "mailbox-list", "method": "POST", "status": "400"}),
        (1, {"view": "none", "status": "404"}),
        (1, {"view": "mailbox-detail", "method": "GET", "status": "404"}),
        (3, mine | {"name": f"{seconds}_count"}),
        (3, mine | {"name": f"{seconds}_bucket", "le": "+Inf"}),
        (6, {}),  # calls of /metrics are not counted
    ):
        for _ in range(3):
            service.get("/voip/mailbox")
        service.post("/voip/mailbox", {"name": ""})
        service.get("/voip/nothing")
        service.get(f"/voip/mailbox/{uuid4()}")
    assert sum_samples(measured, f"{seconds}_sum", **mine) > 0


def test_refused_credentials_and_refused_sign_ins_are_counted(service, measured):
    with assert_increases(
        measured, (1, {"status": "401"}), (1, {"name": "mailboxes_sign_ins_refused_total"})
    ):
        assert service.get("/authenticated", headers={"X-Auth-Password": "wrong"}).status == 401
        with Browser(measured.port) as browser:
            browser.sign_in(password="wrong")


def test_waiting_and_failed_tasks_and_workers_are_measured(measured):
    def measure():
        return [
            sum_samples(measured, f"mailboxes_tasks_{name}")
            for name in ("waiting", "failed", "workers")
        ]

    assert measure() == [0, 0, 0]
    for number in range(3):
        note.enqueue("", number)
    DBTaskResult.objects.update(enqueued_at=timezone.now() - timedelta(hours=1))
    failed = DBTaskResult.objects.first()
    DBTaskResult.objects.filter(pk=failed.pk).update(status="FAILED")
    ServerProcess.objects.create(host="a", pid=1, key="0a1b2c3d", runs_tasks=True)
    assert measure() == [2, 1, 1]
    assert 3600 <= sum_samples(measured, "mailboxes_tasks_lag_seconds") < 3700


@pytest.mark.usefixtures("service")  # it has another credential
def test_throttled_calls_are_counted(measured, account):
    with (
        closing(connect(measured, headers_for(account, "busy"))) as busy,
        assert_increases(measured, (5, {"view": "authenticated", "status": "429"})),
    ):
        while busy.get("/authenticated").status != 429:
            pass  # until the worker's share of the limit is used
        assert [busy.get("/authenticated").status for _ in range(4)] == [429] * 4


def test_metrics_reveal_nothing_of_customers_callers_or_staff(service, measured, account):
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
    text = get_metrics(measured, **PROMETHEUS).body.decode()
    assert 'view="mailbox-detail"' in text
    assert 'method="other"' in text
    private = ["acme", "Private", "wrong-secret", "hunter2", "rosa", "PROP", "192.0.2", "/voip"]
    private += [mailbox.pk, recipient.pk, *service.headers.values()]
    assert [word for word in private if str(word) in text.replace("https", "")] == []
    assert not shows(text, CODE)


def make_calls(server, headers, times):
    """Make each call on a connection of its own, so that each worker gets several."""
    for _ in range(times):
        with closing(connect(server, headers)) as service:
            assert service.get("/authenticated").status == 200


@pytest.mark.long
def test_calls_of_all_workers_are_counted_even_if_one_has_died(account):
    headers = headers_for(account)
    with measured_server() as server:
        make_calls(server, headers, 12)
        assert [sum_samples(server, view="authenticated") for _ in range(6)] == [12] * 6
        before = workers(server)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: workers(server) - before)
        make_calls(server, headers, 12)
        assert [sum_samples(server, view="authenticated") for _ in range(6)] == [24] * 6


@pytest.mark.long
def test_counts_survive_a_reload_but_not_a_restart(account):
    headers = headers_for(account)
    with measured_server() as server:
        make_calls(server, headers, 5)
        reload(server)
        make_calls(server, headers, 5)
        assert [sum_samples(server, view="authenticated") for _ in range(4)] == [10] * 4
        server.kill()
        server.start()
        assert sum_samples(server) == 0


@pytest.mark.long
def test_calls_of_all_workers_are_counted_after_a_reload_turns_metrics_on(account, tmp_path):
    settings = tmp_path / "env"
    settings.write_text("")
    headers = headers_for(account)
    with Server(
        database_url(), ENV_FILE=str(settings), TRUSTED_PROXIES="127.0.0.1", WEB_CONCURRENCY="2"
    ) as server:
        assert get_metrics(server, **PROMETHEUS).status == 400  # this host is not allowed
        settings.write_text("METRICS_NETWORKS=10.0.0.0/8\n")
        reload(server)
        make_calls(server, headers, 12)
        assert [sum_samples(server, view="authenticated") for _ in range(6)] == [12] * 6
    shutil.rmtree(ROOT / "var" / f"metrics-{server.port}")
