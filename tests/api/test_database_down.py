"""A real PostgreSQL stops under a real server: calls get 503 until it is back."""

import pytest

from tests.server import PreparedServer, until
from tests.service import OverSocket

pytestmark = pytest.mark.long


@pytest.fixture
def service(postgres, request, tmp_path):
    """A service on a database of its own, with metrics."""
    metrics = {"METRICS_NETWORKS": "127.0.0.1", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with PreparedServer(postgres.create(request.node.name), **metrics) as server:
        service = OverSocket(server.headers, port=server.port)
        yield service
        service.close()


def test_calls_are_503_until_the_database_is_back(service, postgres):
    assert service.get("/voip/mailbox").status == 200
    assert (service.get("/healthz").status, service.get("/readyz").status) == (200, 200)
    with postgres.stopped():
        for _ in range(4):  # each thread has a connection of its own
            answer = service.get("/voip/mailbox")
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json["result"] == {}
        assert service.get("/healthz").status == 200
        until(lambda: service.get("/readyz").status == 503)
        sample = 'mailboxes_http_requests_total{method="GET",status="503",view="mailbox-list"} 4.0'
        assert sample in service.get("/metrics").body.decode()
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
    until(lambda: service.get("/readyz").status == 200)


def test_restart_between_calls_causes_no_error(service, postgres):
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
    with postgres.stopped():
        pass
    assert [service.get("/voip/mailbox").status for _ in range(8)] == [200] * 8
