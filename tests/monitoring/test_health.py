"""Health checks: /healthz and /readyz."""

import pytest
from django.db import connection

from tests.service import InProcess

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_healthy_service_answers_ok(path):
    answer = InProcess().get(path)
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_missing_migrations_make_the_service_unready():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'mailboxes'")
    answer = InProcess().get("/readyz")
    assert (answer.status, answer.body) == (503, b"migrations are missing\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_unknown_host_without_https_is_answered_and_not_logged(path, settings, caplog):
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    with caplog.at_level("INFO"):
        assert InProcess().get(path, headers={"Host": "192.0.2.1"}).status == 200
    assert not caplog.records


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_post_is_refused(path):
    assert InProcess().post(path).status == 405
