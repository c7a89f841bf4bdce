"""A server with the part of OpenAI's API that a transcriber needs, and its failures."""

import json
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

SAID = "Please call me back about the order."
SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 1.2, "text": " Please call me back", "avg_logprob": -0.3},
    {"id": 1, "start": 1.2, "end": 2.0, "text": " about the order.", "avg_logprob": -0.4},
]


class SpeechServer:
    """Answers each request by `answer`, which can be replaced, and keeps `requests`."""

    def __init__(self):
        self.requests: list[tuple[str, dict, bytes]] = []
        self.answer = answer_text
        self.ends = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1/audio/transcriptions"

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                with suppress(OSError):
                    outer.answer(outer, self, body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, args=[0.05], daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ends.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def send(handler, content, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def answer_text(server, handler, body, **more):
    """Answer with the text, and with the times if they are asked for."""
    answer = {"text": SAID} | ({"segments": SEGMENTS} if b"verbose_json" in body else {})
    send(handler, json.dumps(answer | more).encode())


def answer_text_only(status):
    """Refuse to give times, as newer models do."""

    def answer(server, handler, body):
        if b"verbose_json" in body:
            send(handler, b'{"error": {"message": "verbose_json is not compatible"}}', status)
        else:
            answer_text(server, handler, body)

    return answer


def answer_with(content: bytes, status=200):
    return lambda server, handler, body: send(handler, content, status)


def answer_slowly(server, handler, body):
    """Send a byte of an answer now and then, which ends after minutes."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" ")
        if server.ends.wait(0.1):
            return


def answer_with_slow_head(server, handler, body):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        handler.wfile.write(f"X-{number}: 1\r\n".encode())
        if server.ends.wait(0.1):
            return


def answer_never(server, handler, body):
    server.ends.wait(60)


def answer_without_end(server, handler, body):
    handler.send_response(200)
    handler.end_headers()
    while not server.ends.is_set():
        handler.wfile.write(b'{"text": "' + b"a" * 100_000)


def break_off(server, handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"text": "Please')


@contextmanager
def speech_server(settings, answer=answer_text):
    """Run a SpeechServer, and set it as the transcriber."""
    with SpeechServer() as server:
        server.answer = answer
        settings.TRANSCRIBER, settings.TRANSCRIBER_URL = "http", server.url
        settings.TRANSCRIBER_KEY, settings.TRANSCRIBER_MODEL = "secret-key", "whisper-1"
        yield server
