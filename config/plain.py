"""Requests that are plain to read, and their answers, each at one look.

Gunicorn goes through a head line by line, and looks at each field several times over: a quarter of
what a call costs. A head in which it would find nothing to refuse, drop, join or decode is read
here; all others are left to it, byte for byte.
"""

import io
import os
import re
import time
from functools import lru_cache

from gunicorn.http.message import TOKEN_RE
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import HEADER_VALUE_RE, Response, base_environ
from gunicorn.util import hop_headers, http_date

HEAD_BYTES = 8190  # of the whole: Gunicorn takes as much in one field
HEAD = re.compile(
    r"(GET|POST|PUT|PATCH|DELETE) (/(?!/)[\w.~/-]*)(?:\?([\w.~/=&%+,:@*-]*))? HTTP/1\.1\r\n"
    r"((?:[A-Za-z0-9-]+:[\t -~\x80-\xff]*\r\n){1,100})\r\n",
    re.ASCII,
)
LENGTH = re.compile(r"[0-9]{1,9}", re.ASCII)
# They ask something of the server, or tell in another way how long the body is.
PARTICULAR = {"EXPECT", "HTTP2_SETTINGS", "TRANSFER_ENCODING", "UPGRADE"}
OF_BODY = {"CONTENT_TYPE", "CONTENT_LENGTH"}


class PlainRequest:
    """One that is there whole, body and all, with as much as Gunicorn's answer to a fault asks of it.

    `environ` is what the application is told of it (PEP 3333).
    """

    version = (1, 1)

    def __init__(self, environ):
        self.environ = environ
        self.method, self.uri = environ["REQUEST_METHOD"], environ["RAW_URI"]
        self.query, self.body = environ["QUERY_STRING"], environ["wsgi.input"]

    def should_close(self) -> bool:
        """Whether it asks for that, which is not plain."""
        return False


class PlainFirst(RequestParser):
    """Reads the requests of a connection, at one look where they are plain."""

    def __init__(self, cfg, source, client, server):
        super().__init__(cfg, source, client)
        self.told_of_all = told_of(cfg, client, server) if is_usual(cfg, client) else None
        self.ahead: PlainRequest | None = None

    def __next__(self):
        request, self.ahead = self.ahead or self.plain(), None
        return request or super().__next__()

    def look_ahead(self) -> PlainRequest | None:
        """What comes next, if it is there and plain. It has been read then, and is kept till it is asked for."""
        self.ahead = self.ahead or self.plain()
        return self.ahead

    def plain(self) -> PlainRequest | None:
        """The next request, if it is there and plain."""
        if self.mesg or not self.told_of_all:
            return None
        data = self.unreader.buf.getvalue()
        found = HEAD.match(data[:HEAD_BYTES].decode("latin-1"))
        if not found:
            return None
        method, path, query, lines = found.groups()
        fields = [line.partition(":") for line in lines.split("\r\n")[:-1]]
        told = {name.upper().replace("-", "_"): value.strip(" \t") for name, _, value in fields}
        length = told.get("CONTENT_LENGTH", "0")
        if (
            len(told) < len(fields)
            or not PARTICULAR.isdisjoint(told)
            or told.get("CONNECTION", "keep-alive").lower() != "keep-alive"
            or not LENGTH.fullmatch(length)
            or len(data) < (end := found.end() + int(length))
        ):
            return None
        self.req_count += 1
        self.unreader.take_buffered()
        self.unreader.unread(data[end:])
        environ = self.told_of_all.copy()
        environ["REQUEST_METHOD"], environ["PATH_INFO"] = method, path
        environ["QUERY_STRING"] = query or ""
        environ["RAW_URI"] = path if query is None else f"{path}?{query}"
        environ["wsgi.input"] = io.BytesIO(data[found.end() : end])
        for name, value in told.items():
            environ[name if name in OF_BODY else f"HTTP_{name}"] = value
        return PlainRequest(environ)


def is_usual(cfg, client) -> bool:
    """Whether nothing is set that asks for more than to read and to answer, and nobody's word taken for others.

    That of a caller who does not come by the network is.
    """
    return (
        isinstance(client, tuple)
        and bool(cfg.keepalive)
        and cfg.proxy_protocol == "off"
        and cfg.errorlog == "-"  # a file may be opened anew
        and not (cfg.accesslog or cfg.forwarded_allow_ips or os.environ.get("SCRIPT_NAME"))
        and not 0 < cfg.limit_request_line < HEAD_BYTES
    )


def told_of(cfg, client, server) -> dict:
    """What the application is told of each request between these two."""
    return base_environ(cfg) | {
        "wsgi.multithread": True,
        "wsgi.url_scheme": "https" if cfg.is_ssl else "http",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
    }


class PlainResponse(Response):
    """The answer to a plain request."""

    def process_headers(self, headers):
        """Take them, all looked at together. Raises what Gunicorn does."""
        headers = list(headers)
        names, values = [name.lower() for name, _ in headers], [value for _, value in headers]
        if (
            all(names)
            and TOKEN_RE.fullmatch("".join(names))
            and HEADER_VALUE_RE.fullmatch("".join(values))
            and hop_headers.isdisjoint(names)
            and names.count("content-length") < 2
        ):
            self.headers += [(name, value.strip(" \t")) for name, value in headers]
            if "content-length" in names:
                self.response_length = int(values[names.index("content-length")])
        else:
            super().process_headers(headers)

    def default_headers(self):
        return [
            f"HTTP/1.1 {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
            *(["Transfer-Encoding: chunked\r\n"] if self.chunked else []),
        ]


@lru_cache(maxsize=1)
def date(second: int) -> str:
    return http_date(second)
