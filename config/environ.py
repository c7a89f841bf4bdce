"""The WSGI environ (PEP 3333) of a request. Ambiguous headers are refused."""

import sys
from functools import lru_cache
from io import BytesIO
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from mailboxes.http.bodies import REFUSAL

FILE_CHUNK_BYTES = 64 * 1024

# Headers that may be repeated: their values form a list (RFC 9110, 5.3).
LIST_HEADERS = {
    f"HTTP_{name}"
    for name in (
        *("ACCEPT", "ACCEPT_ENCODING", "ACCEPT_LANGUAGE", "CACHE_CONTROL", "CONNECTION", "COOKIE"),
        *("FORWARDED", "IF_MATCH", "IF_NONE_MATCH", "TE", "TRACESTATE", "VIA", "X_FORWARDED_FOR"),
    )
}

EVERY_REQUEST = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.file_wrapper": lambda file, size: FileWrapper(file, FILE_CHUNK_BYTES),
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


def build_environ(scope) -> dict:
    """Return the WSGI environ of an ASGI scope, without the body; REFUSAL if it is refused."""
    path = scope["raw_path"]
    environ = EVERY_REQUEST | {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REMOTE_ADDR": scope["client"][0],
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.input": BytesIO(),
        "wsgi.url_scheme": scope["scheme"],
    }
    for name, value in scope["headers"]:
        key, text = environ_key(name), value.decode("latin-1")
        if key not in environ:
            environ[key] = text
        elif key in LIST_HEADERS:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ", ") + text
        else:
            environ[REFUSAL] = (
                400,
                f"Send the header {name.decode('latin-1')} once: it was sent twice.",
            )
        if b"_" in name:  # X_Auth_For would have the same key as X-Auth-For
            environ[REFUSAL] = 400, "Write the names of headers with hyphens, not underscores."
    if scope["method"] == "CONNECT" or ("HTTP_UPGRADE" in environ and has_body(environ)):
        # The parser would not read the body: it expects another protocol after the head.
        environ[REFUSAL] = (
            400,
            "Send no CONNECT, and no body with Upgrade: other protocols are not supported.",
        )
    return environ


def has_body(environ) -> bool:
    return "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ


@lru_cache
def environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
