"""What `serve` says in the log before the first call, and when another server takes over."""

import os
import re
import signal

import pytest

from tests.conftest import database_url
from tests.server import Server, successor

pytestmark = pytest.mark.django_db(transaction=True)

LOADED = re.compile(r" INFO mailboxes Process (\d+) has loaded the service\. id=-$", re.MULTILINE)


@pytest.mark.long
@pytest.mark.parametrize(
    ("proxies", "told"), [("10.0.0.0/8, 127.0.0.1", "10.0.0.0/8, 127.0.0.1/32"), ("", "none")]
)
def test_where_it_listens_and_by_whose_word_on_https(proxies, told):
    with Server(database_url(), HTTPS="on", TRUSTED_PROXIES=proxies) as server:
        first, *more = server.output().splitlines()
    assert (
        f" INFO mailboxes Process {server.process.pid} starts on 127.0.0.1, port {server.port}. "
        f"HTTPS: required. Trusted proxies: {told}. id=-"
    ) in first
    warned = [line for line in more if "Every API call will be refused (403)" in line]
    assert len(warned) == (told == "none")


@pytest.mark.long
def test_without_https_nothing_is_warned_of():
    with Server(database_url(), HTTPS="off") as server:
        first, loaded = server.output().splitlines()
    assert "HTTPS: not required. Trusted proxies: none." in first
    assert LOADED.search(loaded)[1] == str(server.process.pid)


@pytest.mark.long
def test_a_change_over_can_be_followed_in_the_log():
    with Server(database_url()) as server:
        second = successor(server)
        try:
            processes = [int(process) for process in LOADED.findall(server.output())]
            assert processes == [server.process.pid, second]
        finally:
            os.kill(second, signal.SIGTERM)
