"""A receiver of webhooks: a real HTTP server, which behaves as a test says."""

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    path: str
    headers: dict
    body: bytes


@dataclass
class Receiver:
    """Context manager: answers each request with `status`, `headers` and `answer`.

    `drip` is the number of seconds between two bytes of the answer; `endless` repeats the answer
    until the caller closes the connection, and counts the bytes that it took.
    """

    status: int = 200
    headers: dict = field(default_factory=dict)
    answer: bytes = b"thanks"
    drip: float = 0
    endless: bool = False
    ssl_context: object = None
    requests: list[Request] = field(default_factory=list)
    sent: int = 0

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(Request(self.path, dict(self.headers), body))
                try:
                    receiver.reply(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        if self.ssl_context:
            self.server.socket = self.ssl_context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def reply(self, handler):
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if not (self.endless or self.drip):
            handler.send_header("Content-Length", str(len(self.answer)))
        handler.end_headers()
        if self.endless:
            while True:
                self.sent += handler.wfile.write(self.answer)
        if not self.drip:
            handler.wfile.write(self.answer)
            return
        for byte in self.answer:
            handler.wfile.write(bytes([byte]))
            time.sleep(self.drip)
