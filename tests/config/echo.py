"""An application that answers as its path says: for what the server does with requests and answers."""

import json
import tempfile
from pathlib import Path

import config.wsgi  # noqa: F401  the service's settings and log
from config.bridge import Bridge
from mailboxes.http.bodies import REFUSAL

PIECE = b"0123456789abcdef" * 4096


def answer(environ, start_response):
    """Run the function of the path's name, or say what was received."""
    name = environ["PATH_INFO"].strip("/").replace("-", "_")
    return ANSWERS.get(name, received)(environ, start_response)


def received(environ, start_response):
    """Tell the request as the application has it, and leave a mark of it."""
    body = environ["wsgi.input"].read()
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    told |= {"body": body.decode("latin-1"), "malformed": environ.get(REFUSAL)}
    if "HTTP_X_MARK" in environ:
        Path(environ["HTTP_X_MARK"]).touch()
    return whole(json.dumps(told).encode(), start_response)


def whole(body, start_response, *headers):
    start_response("200 OK", [("Content-Length", str(len(body))), *headers])
    return [body]


def large(environ, start_response):
    return whole(PIECE * 160, start_response)  # 10 MiB


class Endless:
    """Pieces without an end, which leave a mark when they are closed."""

    def __init__(self, mark):
        self.mark = Path(mark)

    def __iter__(self):
        while True:
            yield PIECE

    def close(self):
        self.mark.touch()


def endless(environ, start_response):
    start_response("200 OK", [])
    return Endless(environ["HTTP_X_MARK"])


def file(environ, start_response):
    opened = tempfile.TemporaryFile()  # noqa: SIM115  closed by the server
    opened.write(PIECE * 20)
    opened.seek(0)
    start_response("200 OK", [("Content-Length", str(len(PIECE) * 20))])
    return environ["wsgi.file_wrapper"](opened, 4096)


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"one", b"two"]


def fail(environ, start_response):
    raise RuntimeError("out of order")


def break_off(environ, start_response):
    start_response("200 OK", [])
    yield PIECE
    raise RuntimeError("out of order")


ANSWERS = {
    function.__name__: function
    for function in (large, endless, file, empty, plain, fail, break_off)
}
bridge = Bridge(answer)


async def application(scope, receive, send):
    if scope["type"] == "http":
        await bridge(scope, receive, send)
