"""Without HTTPS, pages redirect to HTTPS and API calls are refused."""

import pytest

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.engines.engine import engine_headers
from tests.security.browser import HOST, Browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def http_browser(production):
    """A browser that reached the proxy without HTTPS."""
    with Browser(production.port, scheme="http") as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/sign-in/?next=/me/", "/admin/", "/docs/", "/nowhere"])
def test_page_redirects_to_itself_by_https(http_browser, path):
    answer = http_browser.get(path)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}{path}")
    assert http_browser.cookies == {}


def test_api_call_is_refused(http_browser, account):
    answer = http_browser.call("POST", "/voip/mailbox", '{"name": "x"}', **headers_for(account))
    assert (answer.status, answer.json["status_message"]) == (403, "Forbidden")
    assert not Mailbox.objects.exists()


def test_engine_is_refused_with_an_empty_body_or_0(http_browser, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    form = {"Content-Type": "application/x-www-form-urlencoded", **engine_headers(account)}
    query = f"mailbox={mailbox.pk}&context=acme"
    answer = http_browser.call("POST", "/asterisk/voicemail/single", query, **form)
    assert (answer.status, answer.body) == (403, b"")
    update = http_browser.call(
        "POST", f"/asterisk/voicemail/update?{query}", "password=2468", **form
    )
    assert (update.status, update.body) == (200, b"0")
    assert Mailbox.objects.get().password is None


@pytest.mark.parametrize("path", ["//asterisk/voicemail/single", "/FreeSWITCH/directory"])
def test_engine_is_not_redirected_from_a_misspelt_path(http_browser, path):
    answer = http_browser.call("POST", path, "mailbox=x")
    assert (answer.status, answer.body) == (403, b"")


def test_wrong_host_is_not_redirected(http_browser):
    answer = http_browser.get("/sign-in/", Host="evil.example")
    assert (answer.status, answer.headers.get("location")) == (400, None)
