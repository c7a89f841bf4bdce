import pytest
from django.db import connection

from tests.service import InProcess


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_all_is_well(path):
    answer = InProcess().get(path)
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.django_db
def test_missing_migrations_are_told():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'mailboxes'")
    answer = InProcess().get("/readyz")
    assert (answer.status, answer.body) == (503, b"migrations are missing\n")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_by_any_host_without_https_and_without_a_line_in_the_log(path, settings, caplog):
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    with caplog.at_level("INFO"):
        assert InProcess().get(path, headers={"Host": "192.0.2.1"}).status == 200
    assert not caplog.records


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_nothing_else_than_reading(path):
    assert InProcess().post(path).status == 405
