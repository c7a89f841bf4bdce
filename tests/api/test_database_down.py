"""A real PostgreSQL stops under a real server: callers get 503 in the envelope, then service again."""

import pytest

from tests.server import Server
from tests.service import OverSocket

pytestmark = pytest.mark.long


@pytest.fixture
def service(postgres, request, tmp_path):
    """The service on a database of its own, with a credential, and its figures in a folder that is told it."""
    figures = {"METRICS_NETWORKS": "127.0.0.1", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with Server(postgres.create(request.node.name), **figures) as server:
        service = OverSocket(server.prepare(), port=server.port)
        yield service
        service.close()


def test_503_while_it_is_down_and_service_once_it_is_back(service, postgres):
    assert service.get("/voip/mailbox").status == 200
    assert (service.get("/healthz").status, service.get("/readyz").status) == (200, 200)
    postgres.stop()
    for _ in range(4):  # every thread's connection meets it
        answer = service.get("/voip/mailbox")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json["result"] == {}
    assert (service.get("/healthz").status, service.get("/readyz").status) == (200, 503)
    counted = 'mailboxes_http_requests_total{method="GET",status="503",view="mailbox-list"} 4.0'
    assert counted in service.get("/metrics").body.decode()
    postgres.start()
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
    assert service.get("/readyz").status == 200


def test_a_restart_between_calls_is_not_noticed(service, postgres):
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
    postgres.stop()
    postgres.start()
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
