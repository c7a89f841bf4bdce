"""The pieces that every call is made of, and the calls that are made most: `make bench` times them."""

import pytest

from mailboxes.api.throttling import count
from mailboxes.models import ApiCredential
from tests.benchmarks.calls import READS, WRITES, Caller, listed
from tests.benchmarks.filling import fill

pytestmark = pytest.mark.django_db(transaction=True)  # as in service: each call commits


@pytest.fixture
def caller():
    return Caller(fill(2, 20))


@pytest.mark.parametrize("name", READS | WRITES)
def test_call(benchmark, caller, name):
    assert benchmark((READS | WRITES)[name], caller).status < 300


def test_list_of_1000(benchmark):
    caller = Caller(fill(2, 1000))
    assert len(benchmark(listed, caller).result) == 1000


def test_pass_code_is_opened(benchmark, caller):
    assert len(benchmark(caller.mailbox.open)) == 4


def test_credential_is_checked(benchmark, caller):
    assert benchmark(ApiCredential.objects.authenticate, caller.secret)


def test_call_is_counted(benchmark, db):
    assert benchmark(count, "calls:1:1", 60)
