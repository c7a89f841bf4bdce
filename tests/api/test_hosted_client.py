"""A client written for the hosted API works with another host name."""

import http.client
import json

import pytest

from mailboxes.models import Account
from tests.conftest import headers_for


class HostedClient:
    """Like clients in public code, with headers in lower case and an empty x-auth-for."""

    def __init__(self, host, reseller, user, password):
        self.connection = http.client.HTTPConnection(host)
        self.headers = {
            "x-auth-reseller": reseller,
            "x-auth-user": user,
            "x-auth-password": password,
            "x-auth-for": "",
            "content-type": "application/json",
            "accept": "application/json",
        }

    def call(self, method, path, expected, fields=None):
        body = json.dumps(fields) if fields is not None else None
        self.connection.request(method, path, body, self.headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status != expected:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return json.loads(text)["result"] if text else {}


@pytest.fixture
def client(server, transactional_db):
    headers = headers_for(Account.objects.create(name="acme"))
    client = HostedClient(f"localhost:{server.port}", *headers.values())
    yield client
    client.connection.close()


def test_hosted_client_lists_creates_updates_and_deletes(client):
    assert client.call("GET", "/authenticated", 200) == {}
    created = client.call(
        "POST", "/voip/mailbox", 201, {"name": "Pete's Mailbox", "mailbox": "101"}
    )
    assert [box["uuid"] for box in client.call("GET", "/voip/mailbox", 200)] == [created["uuid"]]
    path = f"/voip/mailbox/{created['uuid']}"
    changed = client.call("PUT", path, 200, created | {"password": "1234"})
    assert client.call("GET", path, 200) == changed
    assert client.call("DELETE", path, 204) == {}
    assert client.call("GET", "/voip/mailbox", 200) == []
