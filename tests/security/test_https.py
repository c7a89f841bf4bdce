"""Without HTTPS a page leads to itself by HTTPS, and a call is refused: a redirect would lose its body."""

import pytest

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.engines.engine import engine_headers
from tests.security.browser import HOST, Browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plain(production):
    """Somebody who came to the proxy without HTTPS."""
    with Browser(production.port, scheme="http") as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/sign-in/?next=/me/", "/admin/", "/docs/", "/nowhere"])
def test_a_page_leads_to_itself(plain, path):
    answer = plain.get(path)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}{path}")
    assert plain.cookies == {}


def test_a_call_is_refused(plain, account):
    answer = plain.call("POST", "/voip/mailbox", '{"name": "x"}', **headers_for(account))
    assert (answer.status, answer.json["status_message"]) == (403, "Forbidden")
    assert not Mailbox.objects.exists()


def test_an_engine_is_refused_with_an_empty_body(plain, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    form = {"Content-Type": "application/x-www-form-urlencoded", **engine_headers(account)}
    box = f"mailbox={mailbox.pk}&context=acme"
    answer = plain.call("POST", "/asterisk/voicemail/single", box, **form)
    assert (answer.status, answer.body) == (403, b"")
    update = plain.call("POST", f"/asterisk/voicemail/update?{box}", "password=2468", **form)
    assert (update.status, update.body) == (200, b"0")
    assert Mailbox.objects.get().password is None


@pytest.mark.parametrize("path", ["//asterisk/voicemail/single", "/FreeSWITCH/directory"])
def test_wherever_an_engine_calls_it_is_led_nowhere(plain, path):
    answer = plain.call("POST", path, "mailbox=x")
    assert (answer.status, answer.body) == (403, b"")


def test_no_page_leads_to_a_host_that_is_none_of_ours(plain):
    answer = plain.get("/sign-in/", Host="evil.example")
    assert (answer.status, answer.headers.get("location")) == (400, None)
