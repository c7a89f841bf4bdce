"""Requests to addresses that customers choose, with limits of networks, time and size."""

import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from ssl import SSLContext
from threading import Thread
from typing import NamedTuple

import httpcore
from django.conf import settings

from mailboxes.validators import is_allowed_address

ANSWER_SECONDS = 15  # for everything: name, connection, TLS, and the answer's beginning
MAX_ANSWER_BYTES = 4096
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
WRITTEN_AT_ONCE = 16_384  # bytes; after each part, the time that is left is computed anew


class RefusedAddressError(httpcore.ConnectError):
    """The host's address is in a network that requests may not reach."""


class Answer(NamedTuple):
    status: int
    text: str  # its beginning


class Deadline:
    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def limit(self, timeout: float | None = None) -> float:
        """Return the seconds that are left, or the timeout if that is shorter.

        Raises httpcore.ReadTimeout if no time is left.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("The time is over.")
        return left if timeout is None else min(left, timeout)


class GuardedBackend(httpcore.SyncBackend):
    """Resolves a name once, checks its addresses, and connects to one that was checked.

    A second look-up could give another address than the one that was checked.
    """

    def __init__(self, deadline: Deadline):
        self.deadline = deadline

    def connect_tcp(
        self, host, port, timeout=None, local_address=None, socket_options=None
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, self.deadline.limit())
        for address in addresses:
            if not is_allowed_address(address, settings.WEBHOOK_NETWORKS):
                raise RefusedAddressError(f"{address} is not a public address.")
        for number, address in enumerate(addresses, 1):
            # The first of several addresses may be one that does not answer.
            share = self.deadline.limit() / (len(addresses) - number + 1)
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
                return BoundedStream(stream, self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError("The name has no address.")

    def connect_unix_socket(self, path, timeout=None, socket_options=None):
        raise RefusedAddressError("A socket of this machine is not a public address.")


class BoundedStream(httpcore.NetworkStream):
    """A connection with one time limit for all reads and writes; httpcore limits each alone."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline):
        self.stream, self.deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self.deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITTEN_AT_ONCE):
            part = buffer[start : start + WRITTEN_AT_ONCE]
            self.stream.write(part, self.deadline.limit(timeout))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname=None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = self.deadline.limit(timeout)
        stream = self.stream.start_tls(ssl_context, server_hostname, limit)
        return BoundedStream(stream, self.deadline)

    def get_extra_info(self, info: str):
        return self.stream.get_extra_info(info)

    def close(self) -> None:
        self.stream.close()


def resolve(host: str, port: int, timeout: float) -> list[str]:
    """Return the host's addresses, without duplicates. Raises httpcore.ConnectError.

    The system's resolver has no time limit that a caller could set, so it runs in a thread.
    """
    answers: SimpleQueue = SimpleQueue()

    def ask():
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([address for *_kind, (address, *_port) in found])
        except (OSError, UnicodeError):
            answers.put([])

    Thread(target=ask, daemon=True).start()
    with suppress(Empty):
        if addresses := answers.get(timeout=timeout):
            return list(dict.fromkeys(addresses))
        raise httpcore.ConnectError("The host's name cannot be resolved.")
    raise httpcore.ConnectTimeout("The host's name cannot be resolved in time.")


# Creating a context takes longer than a request.
tls_context = cache(httpcore.default_ssl_context)


def post(url: str, headers: Iterable[tuple[str, str]], body: str) -> Answer:
    """Send a request and return its answer, of which at most MAX_ANSWER_BYTES are read.

    Redirects are not followed, and no proxy is used. Raises httpcore's exceptions:
    RefusedAddressError, TimeoutException, NetworkError or ProtocolError.
    """
    deadline = Deadline(ANSWER_SECONDS)
    with (
        httpcore.ConnectionPool(
            ssl_context=tls_context(), network_backend=GuardedBackend(deadline)
        ) as pool,
        pool.stream("POST", url, headers=list(headers), content=body.encode()) as response,
    ):
        content = b""
        for part in response.iter_stream():
            content += part
            if len(content) >= MAX_ANSWER_BYTES:
                break
        return Answer(response.status, decode(content[:MAX_ANSWER_BYTES]))


def decode(content: bytes) -> str:
    """Return the text without control characters, at most MAX_ANSWER_BYTES long in UTF-8.

    Each wrong byte is replaced with a character of three, and JSON has six for a control character.
    """
    text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", content.decode(errors="replace"))
    return text.encode()[:MAX_ANSWER_BYTES].decode(errors="ignore")
