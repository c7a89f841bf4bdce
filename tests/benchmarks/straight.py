"""Calls of the service as its server makes them: no client's time is in what is measured."""

import io
import logging
import os
from dataclasses import dataclass

from config.wsgi import application
from tests.service import Answer, Service

ENVIRON = {
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "REMOTE_ADDR": "127.0.0.1",
    "QUERY_STRING": "",
    "wsgi.url_scheme": "http",
}


@dataclass
class Straight(Service):
    """Through the WSGI application."""

    def send(self, method, path, body, headers):
        return answer(environ_of(method, path, body, headers))


def environ_of(method, path, body, headers) -> dict:
    environ = ENVIRON | {"REQUEST_METHOD": method, "PATH_INFO": path}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    for name, value in headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = headers.get("Content-Type", "")
    return environ


def answer(environ) -> Answer:
    started = []
    response = application(environ, lambda *start: started.append(start))
    content = b"".join(response)
    if hasattr(response, "close"):  # PEP 3333: it may have one
        response.close()
    ((status, sent),) = started
    return Answer(int(status[:3]), dict(sent), content)


def log_to_nobody():
    """Lines of the log are made as ever, and thrown away."""
    for handler in logging.getLogger().handlers:
        handler.stream = open(os.devnull, "w")  # noqa: SIM115  until the process ends
