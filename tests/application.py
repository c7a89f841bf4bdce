"""An application that answers as its caller asks: for what the server does with answers, and with faults."""

import sys
import tempfile
import time
from threading import Event

from gunicorn.http.wsgi import FileWrapper

PIECE = b"0123456789abcdef" * 4096

let_go = Event()


def application(environ, start_response):
    """By the path, of so many PIECEs as the query says; other paths are told what they asked."""
    answer = ANSWERS.get(environ["PATH_INFO"])
    if answer:
        return answer(int(environ["QUERY_STRING"] or 1), start_response)
    body = environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)}"
    return whole(text, start_response)


def whole(text, start_response, *headers):
    start_response("200 OK", [("Content-Length", str(len(text))), *headers])
    return [text.encode()]


def exact(pieces, start_response):
    return whole(PIECE.decode() * pieces, start_response)


def streamed(pieces, start_response):
    start_response("200 OK", [])
    return (PIECE for _ in range(pieces))


def file(pieces, start_response):
    start_response("200 OK", [("Content-Length", str(len(PIECE) * pieces))])
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed when it has been sent
    file.write(PIECE * pieces)
    file.seek(0)
    return FileWrapper(file)


def slow(pieces, start_response):
    time.sleep(0.5)
    return whole("done", start_response)


def hold(pieces, start_response):
    return whole("let go" if let_go.wait(30) else "forgotten", start_response)


def release(pieces, start_response):
    let_go.set()
    return whole("done", start_response)


def unread(pieces, start_response):
    return whole("refused", start_response)


def fail(pieces, start_response):
    raise RuntimeError("out of order")


def fail_at_end(pieces, start_response):
    class Body(list):
        def close(self):
            raise RuntimeError("out of order")

    return Body(whole("done", start_response))


def stop(pieces, start_response):
    raise GeneratorExit


def end(pieces, start_response):
    sys.exit("out of order")


def breaks_off(pieces, start_response):
    start_response("200 OK", [])
    yield PIECE
    raise RuntimeError("out of order")


ANSWERS = {
    "/voip/mailbox/00000000-0000-4000-8000-000000000000": hold,
    "/exact": exact,
    "/streamed": streamed,
    "/file": file,
    "/slow": slow,
    "/hold": hold,
    "/release": release,
    "/unread": unread,
    "/fail": fail,
    "/fail-at-end": fail_at_end,
    "/stop": stop,
    "/end": end,
    "/breaks-off": breaks_off,
}
