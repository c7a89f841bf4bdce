"""The sample configuration of nginx, as it is printed, with TLS on another port than 443."""

import http.client
import re
import ssl
import urllib.request
from contextlib import closing
from urllib.parse import urlencode

import pytest

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.proxies import NginxWithTLS
from tests.security.browser import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def nginx(production):
    with NginxWithTLS([production]) as running:
        yield running


@pytest.fixture
def tls(nginx):
    return ssl.create_default_context(cafile=nginx.certificate)


class Visitor:
    """A browser that keeps cookies, follows redirects, and names its page with a form."""

    def __init__(self, port, tls):
        self.base = f"https://localhost:{port}"
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls), urllib.request.HTTPCookieProcessor()
        )

    def open(self, path, form=None, headers=()) -> tuple[str, str]:
        """Return the address that the redirects end at, and the text of the page."""
        body = urlencode(form).encode() if form else None
        request = urllib.request.Request(self.base + path, body, dict(headers))
        with self.opener.open(request, timeout=20) as answer:
            return answer.url, answer.read().decode()

    def submit(self, path, form) -> tuple[str, str]:
        _url, page = self.open(path)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', page))
        headers = {"Origin": self.base, "Referer": self.base + path}
        return self.open(path, hidden | form, headers)


def test_staff_sign_in_and_change_a_mailbox(nginx, tls, account, rosa):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    visitor = Visitor(nginx.port, tls)
    url, _page = visitor.submit("/sign-in/", {"username": rosa.username, "password": PASSWORD})
    assert url.startswith(f"https://localhost:{nginx.port}/")
    path = f"/mailboxes/{mailbox.pk}/"
    url, page = visitor.submit(path, {"name": "Support", "beep": "on"})
    assert url == visitor.base + path
    assert "Saved: “Support”." in page
    assert Mailbox.objects.get().name == "Support"


def test_etag_stays_strong_and_serves_for_the_next_write(nginx, tls, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    path, headers = f"/voip/mailbox/{mailbox.pk}", headers_for(account)
    with closing(http.client.HTTPSConnection("localhost", nginx.port, context=tls)) as connection:
        connection.request("GET", path, headers=headers | {"Accept-Encoding": "gzip, br"})
        answer = connection.getresponse()
        answer.read()
        assert (answer.headers["ETag"], answer.headers["Content-Encoding"]) == ('"1"', None)
        body = b'{"name": "Support"}'
        headers |= {"If-Match": answer.headers["ETag"], "Content-Type": "application/json"}
        connection.request("PATCH", path, body, headers)
        assert connection.getresponse().status == 200


def test_next_page_is_linked_with_the_port(nginx, tls, account):
    for name in ("Sales", "Support"):
        Mailbox.objects.create(account=account, name=name)
    with closing(http.client.HTTPSConnection("localhost", nginx.port, context=tls)) as connection:
        connection.request("GET", "/voip/mailbox?limit=1", headers=headers_for(account))
        link = connection.getresponse().headers["Link"]
    assert link.startswith(f"<https://localhost:{nginx.port}/voip/mailbox?")
