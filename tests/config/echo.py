"""A WSGI application that echoes requests as JSON, with other answers at some paths."""

import json
import tempfile
from pathlib import Path

import config.wsgi  # noqa: F401  configures the settings and the log
from config.bridge import Bridge
from mailboxes.http.bodies import REFUSAL

PIECE = b"0123456789abcdef" * 4096


def route(environ, start_response):
    if environ.get(REFUSAL, (0,))[0] == 503:
        start_response("503 Service Unavailable", [])
        return []
    answer = ANSWERS.get(environ["PATH_INFO"].removeprefix("/voip"), echo_request)
    return answer(environ, start_response)


def echo_request(environ, start_response):
    """Return the environ's texts, `body` and `malformed`, and touch the file in X-Mark."""
    body = environ["wsgi.input"].read()
    request = {name: value for name, value in environ.items() if isinstance(value, str)}
    request |= {"body": body.decode("latin-1"), "malformed": environ.get(REFUSAL)}
    if "HTTP_X_MARK" in environ:
        Path(environ["HTTP_X_MARK"]).touch()
    return send_body(json.dumps(request).encode(), start_response)


def send_body(body, start_response):
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def send_large_body(environ, start_response):
    return send_body(PIECE * 160, start_response)  # 10 MiB


class EndlessBody:
    """An endless iterator that touches a file when it is closed."""

    def __init__(self, mark):
        self.mark = Path(mark)

    def __iter__(self):
        while True:
            yield PIECE

    def close(self):
        self.mark.touch()


def send_endless_body(environ, start_response):
    start_response("200 OK", [])
    return EndlessBody(environ["HTTP_X_MARK"])


def send_file(environ, start_response):
    file = tempfile.TemporaryFile()  # noqa: SIM115  the server closes it
    file.write(PIECE * 20)
    file.seek(0)
    start_response("200 OK", [("Content-Length", str(len(PIECE) * 20))])
    return environ["wsgi.file_wrapper"](file, 4096)


def send_no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def send_without_length(environ, start_response):
    start_response("200 OK", [])
    return [b"one", b"two"]


def raise_error(environ, start_response):
    raise RuntimeError("out of order")


def send_part_and_raise(environ, start_response):
    start_response("200 OK", [])
    yield PIECE
    raise RuntimeError("out of order")


ANSWERS = {
    "/large": send_large_body,
    "/endless": send_endless_body,
    "/file": send_file,
    "/empty": send_no_content,
    "/plain": send_without_length,
    "/fail": raise_error,
    "/break-off": send_part_and_raise,
}
bridge = Bridge(route)


async def application(scope, receive, send):
    if scope["type"] == "http":
        await bridge(scope, receive, send)
