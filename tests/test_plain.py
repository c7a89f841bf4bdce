"""Plain requests and their answers: read and written at one look, as Gunicorn reads and writes them."""

import io
from copy import copy

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import Response, create
from hypothesis import given, settings
from hypothesis import strategies as st

from config.plain import PlainFirst, PlainResponse

CLIENT, SERVER = ("192.0.2.7", 50000), ("127.0.0.1", 8000)
# What Gunicorn alone tells, and the body, which is compared by what it holds.
BESIDE = {"gunicorn.socket", "wsgi.early_hints", "wsgi.errors", "wsgi.input"}

config = Config()
config.set("forwarded_allow_ips", "")
config.set("http_parser", "python")
config.set("limit_request_line", 8190)


def asked(start="GET /voip/mailbox HTTP/1.1", *fields, body=""):
    return "\r\n".join([start, *fields, "", body])


def plainly(text, client=CLIENT):
    """What the application is told, the body and what follows it; None if it is not plain."""
    parser = PlainFirst(config, io.BytesIO(), client, SERVER)
    parser.unreader.unread(text.encode("latin-1"))
    request = parser.plain()
    if request is None:
        assert parser.unreader.take_buffered() == text.encode("latin-1")
        return None
    body = request.environ["wsgi.input"].read()
    return without(request.environ), body, parser.unreader.take_buffered()


def by_gunicorn(text):
    parser = RequestParser(config, iter([text.encode("latin-1")]), CLIENT)
    request = next(parser)
    _, environ = create(request, None, CLIENT, SERVER, config)
    environ["wsgi.multithread"] = True  # as its threaded worker has it
    assert not request.should_close()
    body = request.body.read()
    return without(environ), body, parser.unreader.take_buffered()


def without(environ):
    return {name: value for name, value in environ.items() if name not in BESIDE}


PLAIN = [
    asked("GET /voip/mailbox?limit=2&after=a%2Fb HTTP/1.1", "Host: pbx.example:8000"),
    asked(
        "GET / HTTP/1.1", "Host: a", "Connection: Keep-Alive", "Accept:", "X-Auth-For: \t\xe9 b "
    ),
    asked("POST /voip/mailbox HTTP/1.1", "Content-Length: 2", "Content-Type: a/b", body="{}"),
    asked("PUT /a//b/../c HTTP/1.1", "content-length: 002", "HOST: a", body="{}GET / HTTP/1.1\r\n"),
    asked("DELETE /voip/mailbox HTTP/1.1", "Host: a", body=asked()),
]
NOT_PLAIN = [
    asked("GET /voip/mailbox HTTP/1.0", "Host: a"),
    asked("HEAD /voip/mailbox HTTP/1.1", "Host: a"),
    asked("GET //voip HTTP/1.1", "Host: a"),
    asked("GET /voip%2Fmailbox HTTP/1.1", "Host: a"),
    asked("GET http://a/voip HTTP/1.1", "Host: a"),
    asked("GET /voip#a HTTP/1.1", "Host: a"),
    asked("GET /voip HTTP/1.1", "Host: a", "Connection: close"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a", "X-Auth-For: b"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a", "x-auth-for: b"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a", "X_Auth_For: b"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a", " b"),
    asked("GET /voip HTTP/1.1", "X-Auth-For : a"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a\x00"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a\nb: c"),
    asked("GET /voip HTTP/1.1", "X-Auth-For: a\rb: c"),
    asked("POST /voip HTTP/1.1", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    asked("POST /voip HTTP/1.1", "Content-Length: 0", "Transfer-Encoding: chunked"),
    asked("POST /voip HTTP/1.1", "Content-Length: 2", "Content-Length: 2", body="{}"),
    asked("POST /voip HTTP/1.1", "Content-Length: +2", body="{}"),
    asked("POST /voip HTTP/1.1", "Content-Length: \xb2", body="{}"),
    asked("POST /voip HTTP/1.1", "Content-Length: 3", body="{}"),
    asked("POST /voip HTTP/1.1", "Content-Length: 2", "Expect: 100-continue", body="{}"),
    asked("GET /voip HTTP/1.1", "Upgrade: h2c"),
    asked("GET /voip HTTP/1.1", *[f"X-{number}: a" for number in range(101)]),
    asked("GET /voip HTTP/1.1", f"X-Long: {'a' * 8190}"),
    "\r\n" + asked("GET /voip HTTP/1.1", "Host: a"),
    "GET /voip HTTP/1.1\r\n\r\n",
    "GET /voip HTTP/1.1\nHost: a\n\n",
    "GET /voip HTTP/1.1\r\nHost: a\r\n",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_is_read_as_gunicorn_reads_it(text):
    assert plainly(text) == by_gunicorn(text)


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_is_not_is_left_as_it_came(text):
    assert plainly(text) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keepalive", 0),
        ("accesslog", "-"),
        ("limit_request_line", 4094),
        ("forwarded_allow_ips", "*"),
        ("proxy_protocol", "v1"),
        ("errorlog", "errors.log"),
        ("SCRIPT_NAME", "/a"),
    ],
)
def test_what_is_set_otherwise_is_left_to_gunicorn(name, value, monkeypatch):
    if name == "SCRIPT_NAME":
        monkeypatch.setenv(name, value)
    else:
        monkeypatch.setitem(config.settings, name, copy(config.settings[name]))
        config.set(name, value)
    assert plainly(PLAIN[0]) is None


def test_what_was_looked_at_ahead_is_what_comes_next():
    parser = PlainFirst(config, io.BytesIO(), CLIENT, SERVER)
    starts = ("GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "HEAD /3 HTTP/1.1")
    parser.unreader.unread("".join(asked(start, "Host: a") for start in starts).encode())
    ahead = parser.look_ahead()
    assert ahead
    assert parser.look_ahead() is ahead
    assert [next(parser), next(parser).uri] == [ahead, "/2"]
    assert parser.look_ahead() is None
    assert next(parser).uri == "/3"


def test_who_does_not_come_by_the_network_is_left_to_gunicorn():
    assert plainly(PLAIN[0], client="") is None


# Requests that are plain, or would be but for one thing: a start, or a field.
NAMES = ["Host", "Content-Length", "X-Auth-For", "X_Auth_For", "Connection", "Transfer-Encoding"]
NAMES += ["Expect", "Upgrade", "X-Forwarded-Proto", "Script-Name", "A b", ""]
VALUES = ["", "a", "0", "2", "keep-alive", "close", "chunked", "100-continue", "https", "\xe9 \t"]
ODD_FIELDS = st.builds(
    "{}:{}{}".format,
    st.sampled_from(NAMES) | st.text("aA-_:1", max_size=3),
    st.sampled_from([" ", "", "\t", "\r\n "]),
    st.sampled_from(VALUES) | st.text("a:\x00\x0b\x7f\xff\r\n", max_size=3),
)
PLAIN_FIELDS = st.lists(
    st.sampled_from(["content-length:2", "HOST: b", "X-A: \xff", "Cookie:", "Content-Type: a/b"]),
    unique=True,
)
ODD_STARTS = st.builds(
    "{} {}{} HTTP/1.{}".format,
    st.sampled_from(["GET", "POST", "HEAD", "get", "CONNECT"]),
    st.sampled_from(["/", "//a", "*", "/%41", "/a;b"]) | st.text("/.a%~", max_size=4),
    st.sampled_from(["", "?", "?a=b&c", "?%00", "#a", "??"]),
    st.sampled_from("10"),
)


@settings(max_examples=1000)
@given(
    start=st.just("PUT /voip/mailbox?a=b HTTP/1.1") | ODD_STARTS,
    fields=PLAIN_FIELDS,
    odd=st.lists(ODD_FIELDS, max_size=1),
    body=st.sampled_from(["", "{}", "{}{}", "0\r\n\r\n"]),
)
def test_whatever_is_plain_is_read_as_gunicorn_reads_it(start, fields, odd, body):
    text = asked(start, *odd, *fields, body=body)
    if (read := plainly(text)) is not None:
        assert read == by_gunicorn(text)


ANSWERS = [
    [],
    [("Content-Type", "a/b"), ("Content-Length", "5"), ("ETag", '"\xe9"')],
    [("Set-Cookie", "a"), ("Set-Cookie", "b")],
    [("Connection", "close"), ("Keep-Alive", "9"), ("A", "b")],
    [("Content-Length", "5"), ("A", " b\t"), ("content-length", "4")],
    [("A", "b\r\nC: d")],
    [("A", "b\n")],
    [("A\n", "b")],
    [("", "b")],
    [("A b", "c")],
    [("A", "\u20ac")],
    [(b"A", "b")],
    [("A", 5)],
    [("Content-Length", "many")],
]


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("headers", ANSWERS)
def test_answers_are_written_as_gunicorn_writes_them(status, headers):
    def written(kind):
        sent = io.BytesIO()
        sent.sendall = sent.write
        request = next(RequestParser(config, iter([PLAIN[0].encode()]), CLIENT))
        response = kind(request, sent, config)
        try:
            response.start_response(status, headers)
            response.write(b"hello")
            response.close()
        except Exception as error:
            return type(error), None
        lines = sent.getvalue().split(b"\r\n")
        return [line for line in lines if not line.startswith(b"Date: ")], response.should_close()

    assert written(PlainResponse) == written(Response)
