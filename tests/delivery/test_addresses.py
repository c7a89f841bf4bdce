"""Requests to addresses that customers choose: private networks, and limits."""

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailboxes.delivery import addresses
from mailboxes.validators import is_allowed_address
from tests.delivery.receiver import Receiver

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["9.9.9.9", "93.184.215.14", "2620:fe::fe", "2a00:1450:4001:829::200e"]

# Other ways to write 127.0.0.1, which the system's resolver understands.
LOCAL_HOSTS = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "0.0.0.0"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_not_allowed(address):
    assert not is_allowed_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address):
    assert is_allowed_address(address)


def test_webhook_networks_allow_private_addresses(reachable, settings):
    assert is_allowed_address("127.0.0.1", settings.WEBHOOK_NETWORKS)
    assert not is_allowed_address("10.0.0.1", settings.WEBHOOK_NETWORKS)
    assert not is_allowed_address("::ffff:127.0.0.1", settings.WEBHOOK_NETWORKS)


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_request_to_this_machine_is_refused_before_it_connects(host):
    with Receiver() as receiver:
        with pytest.raises(addresses.RefusedAddressError):
            addresses.post(f"http://{host}:{receiver.port}/", [], "{}")
        assert receiver.requests == []


def test_request_arrives_as_it_was_sent(receiver):
    answer = addresses.post(receiver.url, [("X-Test", "1")], "{ä}")
    assert answer == (200, "thanks")
    (request,) = receiver.requests
    assert (request.path, request.body.decode()) == ("/hook", "{ä}")
    assert request.headers["X-Test"] == "1"


@pytest.mark.parametrize("public", [[], ["9.9.9.9"]])
def test_name_with_a_private_address_is_refused(monkeypatch, public):
    """A public address of the same name changes nothing: either could be used."""
    found = [(2, 1, 6, "", (address, 443)) for address in [*public, "10.0.0.1"]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(addresses.RefusedAddressError):
        addresses.post("http://rebind.example/", [], "{}")


def test_name_is_resolved_once_so_that_its_address_cannot_change(receiver, monkeypatch):
    """A second look-up would return the address of another receiver."""
    looked_up = []
    real = socket.getaddrinfo

    def change(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "10.255.255.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", change)
    url = f"http://rebind.example:{receiver.port}/"
    assert addresses.post(url, [], "{}").status == 200
    assert looked_up == ["rebind.example"]
    with pytest.raises(addresses.RefusedAddressError):
        addresses.post(url, [], "{}")
    assert len(receiver.requests) == 1


def test_second_address_is_tried_if_the_first_does_not_answer(receiver, monkeypatch):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, receiver.port))
        for address in ("127.0.0.2", "127.0.0.1")
    ]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: found if host == "two.example" else real(host, *a, **k),
    )
    assert addresses.post(f"http://two.example:{receiver.port}/", [], "{}").status == 200


def test_redirect_is_not_followed(receiver):
    with Receiver() as other:
        receiver.status, receiver.headers = 302, {"Location": other.url}
        assert addresses.post(receiver.url, [], "{}").status == 302
        assert other.requests == []


def test_proxy_of_the_environment_is_not_used(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert addresses.post(receiver.url, [], "{}").status == 200


def test_endless_answer_is_read_up_to_a_limit(receiver):
    """Of ten gigabytes only what the buffers of the connection hold is sent."""
    receiver.answer, receiver.endless = b"x" * 1_000_000, True
    receiver.headers = {"Content-Length": str(10 * 1024**3)}
    answer = addresses.post(receiver.url, [], "{}")
    assert answer == (200, "x" * addresses.MAX_ANSWER_BYTES)
    assert receiver.sent < 50_000_000


def test_endless_head_of_an_answer_is_refused(receiver):
    receiver.headers = {f"X-{number}": "x" * 60_000 for number in range(50)}
    with pytest.raises(httpcore.ProtocolError):
        addresses.post(receiver.url, [], "{}")


def test_answer_in_another_encoding_is_read(receiver):
    receiver.answer = b"caf\xe9\x00"
    assert addresses.post(receiver.url, [], "{}").text == "caf\ufffd\ufffd"


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(addresses, "ANSWER_SECONDS", 0.5)


def test_slow_answer_has_one_limit_for_all_its_parts(receiver, hurried):
    """Each byte comes in time; together they do not."""
    receiver.answer, receiver.drip = b"x" * 100, 0.1
    start = time.monotonic()
    with pytest.raises(httpcore.TimeoutException):
        addresses.post(receiver.url, [], "{}")
    assert time.monotonic() - start < 5


def test_receiver_that_accepts_and_says_nothing_is_given_up(reachable, hurried):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/"):
            with pytest.raises(httpcore.TimeoutException):
                addresses.post(url, [], "{}")


def test_receiver_that_reads_nothing_is_given_up(reachable, hurried):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(httpcore.TimeoutException):
            addresses.post(f"http://127.0.0.1:{port}/", [], "x" * 20_000_000)


def test_name_server_that_does_not_answer_is_given_up(monkeypatch, hurried):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: release.wait(30) and [])
    with pytest.raises(httpcore.ConnectTimeout):
        addresses.post("http://slow.example/", [], "{}")
    release.set()


@pytest.mark.parametrize("host", ["unknown.invalid", "x" * 64 + ".example", "a..example"])
def test_unknown_name_is_no_connection(monkeypatch, host):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    if host == "unknown.invalid":
        monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(httpcore.ConnectError):
        addresses.post(f"http://{host}/", [], "{}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the file of a certificate for receiver.example, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_receiver(reachable, certificate, monkeypatch):
    """Return a receiver with HTTPS; every name leads to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(ssl_context=context) as running:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", running.port))]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: found if host.endswith(".example") else real(host, *a, **k),
        )
        yield running


def test_certificate_is_checked_for_the_name_not_the_address(
    secure_receiver, certificate, monkeypatch
):
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(addresses, "tls_context", lambda: trusting)
    port = secure_receiver.port
    assert addresses.post(f"https://receiver.example:{port}/", [], "{}").status == 200
    with pytest.raises(httpcore.ConnectError, match="certificate"):
        addresses.post(f"https://other.example:{port}/", [], "{}")
    assert len(secure_receiver.requests) == 1


def test_certificate_of_an_unknown_authority_is_refused(secure_receiver):
    with pytest.raises(httpcore.ConnectError, match="certificate"):
        addresses.post(f"https://receiver.example:{secure_receiver.port}/", [], "{}")
