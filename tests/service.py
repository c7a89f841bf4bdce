"""One way to call the service, in this process or through the real server over a socket."""

import http.client
import json
import re
from dataclasses import dataclass, field
from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler


def shows(text, code) -> bool:
    """Whether the pass code stands in the text by itself: a uuid, a time or a token may well hold its digits."""
    return re.search(rf"(?<![\w-]){code}(?![\w-])", str(text)) is not None


@dataclass
class Answer:
    """What came back: `headers` in lower case, `body` as bytes."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def result(self):
        return self.json["result"]

    @property
    def errors(self):
        return self.json["errors"]


@dataclass
class Service:
    """Calls with the given headers; a body that is no text or bytes is sent as JSON."""

    headers: dict = field(default_factory=dict, repr=False)  # a failing test prints no secret

    def call(self, method, path, body=None, headers=None) -> Answer:
        headers = self.headers | (headers or {})
        headers = {name: value for name, value in headers.items() if value is not None}
        if body is None:
            body = b""
        elif not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers = {"Content-Type": "application/json"} | headers
        return self.send(method, path, body, headers)

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def patch(self, path, body=None, **kwargs):
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)


class FastPathHandler(ClientHandler):
    """Django for its test client, behind the fast path."""

    def __call__(self, environ):
        # What only calls a server over a socket has no settings to import this with.
        from mailboxes.api.fastpath import FastPath

        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(size))  # as the bridge does
        started = []
        fast_path = FastPath(
            lambda environ, start_response: super(FastPathHandler, self).__call__(environ)
        )
        answer = fast_path(environ, lambda *told: started.extend(told))
        if not started:
            return answer
        status, headers = started
        response = HttpResponse(answer, status=int(status[:3]), headers=dict(headers))
        response.wsgi_request = WSGIRequest(environ)  # the client looks at it
        return response


@dataclass
class InProcess(Service):
    """Through Django's test client: every middleware, no socket."""

    def send(self, method, path, body, headers):
        client = Client(SERVER_NAME="localhost", raise_request_exception=False)
        client.handler = FastPathHandler()
        content_type = headers.pop("Content-Type", "")
        response = client.generic(method, path, body, content_type=content_type, headers=headers)
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, response.getvalue())


@dataclass
class OverSocket(Service):
    """Through the real server, on one connection kept alive from call to call."""

    port: int = 0

    def __post_init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def close(self):
        self.connection.close()

    def send(self, method, path, body, headers):
        self.connection.request(method, path, body=body or None, headers=headers)
        response = self.connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
