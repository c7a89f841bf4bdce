"""Error pages of the console."""

import pytest
from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.test import Client
from django.urls import path

from config.urls import handler500  # noqa: F401  Django looks for it in the URL configuration
from config.urls import urlpatterns as project_urlpatterns
from mailboxes.console.views.errors import server_error
from tests.console.pages import get_text


def raise_bad_request(request):
    raise BadRequest


def raise_error(request):
    raise RuntimeError("the secret of the stack")


def raise_operational_error(request):
    raise OperationalError("the secret of the database")


urlpatterns = [
    *project_urlpatterns,
    path("refuse/", raise_bad_request),
    path("crash/", raise_error),
    path("wait/", raise_operational_error),
]


@pytest.fixture
def browser(settings, db):
    settings.ROOT_URLCONF = __name__
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


def test_unknown_page_is_404(browser):
    response = browser.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no page here" in response.content.decode()


def test_bad_request_is_explained(browser):
    response = browser.get("/refuse/")
    assert response.status_code == 400
    assert "This request cannot be served" in response.content.decode()


def test_crash_page_hides_the_error(browser):
    response = browser.get("/crash/")
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()
    assert "secret" not in response.content.decode()


def test_unreachable_database_is_503(browser, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = browser.get("/wait/")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "does not answer" in response.content.decode()
    assert "secret" not in response.content.decode()


def test_crash_page_makes_no_query(rf):
    assert server_error(rf.get("/")).status_code == 500


def send_form(browser, **headers):
    response = browser.post("/sign-in/", {"username": "rosa"}, headers=headers)
    assert response.status_code == 403
    return get_text(response)


def test_form_without_a_cookie_is_refused(browser):
    assert "Your browser sent no cookie" in send_form(browser)


def test_form_with_an_old_token_is_refused(browser):
    browser.get("/sign-in/")
    assert "This form is too old to send" in send_form(browser)


def test_form_from_another_scheme_names_both_addresses(browser):
    page = send_form(browser, origin="https://testserver")
    assert "This form came from another address" in page
    assert "from https://testserver, but the service received it as http://testserver." in page


@pytest.mark.parametrize("origin", ["null", "https://<script>"])
def test_form_from_an_unknown_or_hostile_address_is_refused(browser, origin):
    assert "This form came from another address" in send_form(browser, origin=origin)
    assert b"<script>" not in browser.post("/sign-in/", headers={"origin": origin}).content


@pytest.mark.parametrize(
    ("origin", "names"),
    [
        ("https://testserver", ["X-Forwarded-Proto", "TRUSTED_PROXIES", "HTTPS"]),
        ("http://testserver:8080", ["Host", "ALLOWED_HOSTS"]),
    ],
    ids=["scheme", "host"],
)
def test_form_through_a_wrong_proxy_names_the_settings(browser, caplog, request, origin, names):
    with caplog.at_level("INFO", "mailboxes.request"):
        page = send_form(browser, origin=origin)
    assert [name for name in names if name not in page] == []
    assert f"why=csrf-{request.node.callspec.id}" in caplog.text


def test_form_over_https_without_a_referer_is_refused(browser):
    response = browser.post("/sign-in/", secure=True)
    assert "did not say from which address" in get_text(response)


def test_unknown_api_path_gets_json(browser):
    assert browser.get("/voip/nowhere").json()["status_code"] == 404
