"""A client that sends raw HTTP/1.1."""

import json
import socket
from contextlib import suppress


class Caller:
    """A TCP connection to the server that sends requests byte by byte."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def send_request(self, *lines, body=b""):
        lines = [*lines, "", ""]
        self.send(
            b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        )
        self.send(body)

    def get(self, path, *lines):
        self.send_request(f"GET {path} HTTP/1.1", "Host: localhost", *lines)

    def head(self) -> tuple[int, dict]:
        """Read status and headers of the next answer: 0 and none if the connection is closed."""
        try:
            start = self.stream.readline()
        except ConnectionError:
            start = b""
        lines = iter(self.stream.readline, b"\r\n") if start else ()
        headers = dict(line.decode().rstrip().lower().split(": ", 1) for line in lines)
        return int(start[9:12] or 0), headers

    def answer(self) -> tuple[int, dict, bytes]:
        status, headers = self.head()
        return status, headers, self.stream.read(int(headers.get("content-length", 0)))

    def status(self) -> int:
        """Read the next answer, and return its status, or 0 if the connection is closed."""
        return self.answer()[0]

    def echoed_request(self) -> dict:
        """Read the next answer, and return the request that it echoes."""
        status, _headers, body = self.answer()
        assert status == 200
        return json.loads(body)

    def is_closed(self) -> bool:
        with suppress(ConnectionError):
            return self.stream.read(1) == b""
        return True
