"""With CACHE_URL all processes count calls together: two real servers, a real Redis."""

import time
from contextlib import ExitStack, closing

import pytest

from mailboxes.models import Account
from tests.conftest import database_url, headers_for
from tests.server import Server
from tests.service import OverSocket

pytestmark = pytest.mark.long


@pytest.mark.django_db(transaction=True)
def test_the_limit_is_exact_over_all_processes(redis_url):
    headers = headers_for(Account.objects.create(name="acme"))
    setting = {"CACHE_URL": redis_url, "RATE_LIMIT": "20/hour"}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(database_url(), **setting)) for _ in range(2)]
        callers = [
            stack.enter_context(closing(OverSocket(headers, port=server.port)))
            for server in servers
        ]
        if time.time() % 3600 > 3590:
            time.sleep(11)  # not across two windows
        statuses = [callers[n % 2].get("/authenticated").status for n in range(30)]
    assert statuses == [200] * 20 + [429] * 10
