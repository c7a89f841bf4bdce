"""Callers of the service: in this process, or through the real server over a socket."""

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler


def shows(text, code) -> bool:
    """Return True if the text has the pass code as a word, not as a part of a UUID or time."""
    return re.search(rf"(?<![\w-]){code}(?![\w-])", str(text)) is not None


@dataclass
class Answer:
    """A response; the names of `headers` are in lower case."""

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
    """Send calls with the headers; a body that is neither str nor bytes is sent as JSON."""

    headers: dict = field(
        default_factory=dict, repr=False
    )  # so that a failing test prints no secret

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

    def get_rows(self, path) -> Iterator:
        """Yield the rows of this page of a list and of those after it."""
        while path:
            answer = self.get(path)
            yield from answer.result
            link = re.match(r'<https?://[^/]+(.*)>; rel="next"', answer.headers.get("link", ""))
            path = link and link[1]

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def patch(self, path, body=None, **kwargs):
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)


class FastPathHandler(ClientHandler):
    """Handle the calls of Django's test client, with the fast path in front."""

    def __call__(self, environ):
        # Imported here, because programs that only use a socket have no settings.
        from mailboxes.api.fastpath import FastPath

        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(size))  # like the bridge
        started = []
        fast_path = FastPath(
            lambda environ, start_response: super(FastPathHandler, self).__call__(environ)
        )
        answer = fast_path(environ, lambda *arguments: started.extend(arguments))
        if not started:
            return answer
        status, headers = started
        response = HttpResponse(answer, status=int(status[:3]), headers=dict(headers))
        response.wsgi_request = WSGIRequest(environ)  # the test client reads it
        return response


@dataclass
class InProcess(Service):
    """Call through Django's test client: with all middleware, without a socket."""

    def send(self, method, path, body, headers):
        client = Client(SERVER_NAME="localhost", raise_request_exception=False)
        client.handler = FastPathHandler()
        content_type = headers.pop("Content-Type", "")
        response = client.generic(method, path, body, content_type=content_type, headers=headers)
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, response.getvalue())


@dataclass
class OverSocket(Service):
    """Call the real server on one connection, which is kept alive."""

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
