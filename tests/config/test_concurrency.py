"""The limits of requests that run at the same time in a process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from types import SimpleNamespace

import pytest

from config.bridge import Answer, Bridge
from config.concurrency import (
    ANSWERS_OF_CALLER,
    MAX_WAITING,
    REQUESTS_OF_CALLER,
    THREADS,
    WRITES,
    WRITES_OF_CALLER,
    BusyError,
    Slots,
    identify_caller,
    is_write,
)
from mailboxes.http.bodies import REFUSAL


def build_environ(method="GET", path="/voip/mailbox", secret="mbx_1", address="192.0.2.1"):
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "REMOTE_ADDR": address,
        "HTTP_X_AUTH_PASSWORD": secret,
    }


def run_in_thread(coroutine):
    """Run it in a thread of its own: tests with a browser leave a loop in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def count_running(*environs) -> int:
    """Return how many of these requests would run at the same time."""

    async def run():
        slots, running, end = Slots(), 0, asyncio.Event()

        async def run_request(environ):
            nonlocal running
            async with slots.get(environ):
                running += 1
                await end.wait()

        tasks = [asyncio.create_task(run_request(environ)) for environ in environs]
        await asyncio.sleep(0.01)
        started = running
        end.set()
        await asyncio.gather(*tasks)
        assert running == len(environs)
        assert not slots.callers
        return started

    return run_in_thread(run())


def test_caller_leaves_a_thread_to_others():
    reads, writes = [build_environ()] * 10, [build_environ("POST")] * 10
    assert count_running(*reads) == REQUESTS_OF_CALLER < THREADS
    assert count_running(*writes) == WRITES_OF_CALLER < REQUESTS_OF_CALLER
    assert count_running(*writes, *reads) == REQUESTS_OF_CALLER


def test_all_writers_leave_a_thread_to_readers():
    writes = [build_environ("POST", secret=f"mbx_{number}") for number in range(10)]
    assert count_running(*writes) == WRITES < THREADS
    assert count_running(*writes, build_environ(secret="another")) == WRITES + 1


def test_waiting_caller_does_not_keep_the_place_of_other_writers():
    own = [build_environ("POST")] * 10
    assert count_running(*own, build_environ("POST", secret="another")) == WRITES_OF_CALLER + 1


def test_health_probes_and_refusals_wait_for_nobody():
    others = [build_environ()] * REQUESTS_OF_CALLER
    refused = build_environ() | {REFUSAL: (400, "Wrong.")}
    probes = [build_environ(path=path) for path in ("/healthz", "/readyz")]
    assert count_running(*others, refused, *probes) == len(others) + 3


def test_request_beyond_the_queue_is_refused():
    async def run():
        slots = Slots()
        async with AsyncExitStack() as stack:
            for _ in range(REQUESTS_OF_CALLER):
                await stack.enter_async_context(slots.get(build_environ()))
            waiting = [asyncio.create_task(wait(slots)) for _ in range(MAX_WAITING)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="Too many of your requests wait"):
                await wait(slots)
            await wait(slots, secret="another")
        await asyncio.gather(*waiting)

    async def wait(slots, **caller):
        async with slots.get(build_environ(**caller)):
            pass

    run_in_thread(run())


def test_request_that_waits_too_long_is_refused_and_keeps_no_place(settings):
    settings.DATABASE_TIMEOUT = 0.01

    async def run():
        slots = Slots()
        write = build_environ("POST")
        async with AsyncExitStack() as stack:
            for _ in range(REQUESTS_OF_CALLER):
                await stack.enter_async_context(slots.get(build_environ()))
            for _ in range(WRITES_OF_CALLER + 1):
                with pytest.raises(BusyError, match="busy"):
                    await slots.get(write).__aenter__()
        for _ in range(WRITES_OF_CALLER):
            await slots.get(write).__aenter__()

    run_in_thread(run())


def test_answers_that_cannot_be_sent_keep_no_place():
    closed = []

    async def send(message):
        raise ConnectionError

    async def receive():
        await asyncio.Event().wait()

    async def run():
        slots, bridge, answers = Slots(), Bridge(None), []
        for number in range(ANSWERS_OF_CALLER):
            body = SimpleNamespace(close=partial(closed.append, number))
            async with slots.get(build_environ()) as slot:
                slot.keep_answer()
            answers.append(Answer(200, [], b"long", iter([]), body, slot))
        assert slot.caller.answers.locked()
        for answer in answers:
            with pytest.raises(ConnectionError):
                await bridge.respond(answer, send, receive)
        assert not slot.caller.answers.locked()

    run_in_thread(run())
    assert closed == [*range(ANSWERS_OF_CALLER)]


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("GET", "/voip/mailbox", False),
        ("HEAD", "/", False),
        ("POST", "/voip/mailbox", True),
        ("DELETE", "/voip/mailbox/1", True),
        ("POST", "/sign-in/", True),
        ("POST", "/asterisk/voicemail/single", False),
        ("POST", "/freeswitch/directory", False),
        ("POST", "/Asterisk/voicemail/update", True),
        ("POST", "/bulk/update", True),
    ],
)
def test_lookups_of_engines_are_reads(method, path, writes):
    assert is_write(build_environ(method, path)) == writes


def test_program_is_known_by_its_secret_and_a_page_by_its_address(settings):
    settings.TRUSTED_PROXIES = []
    secret = {"HTTP_AUTHORIZATION": "Bearer mbx_2"}
    anonymous = {"REMOTE_ADDR": "192.0.2.1", "PATH_INFO": "/voip/schema"}
    assert identify_caller(build_environ()) == "mbx_1"
    assert identify_caller(anonymous | secret) == "mbx_2"
    assert identify_caller(anonymous) == "192.0.2.1"
    assert identify_caller(build_environ(path="/sign-in/")) == "192.0.2.1"
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    forwarded = {"HTTP_X_FORWARDED_FOR": "198.51.100.7"}
    assert identify_caller(anonymous | forwarded) == "198.51.100.7"


@pytest.mark.parametrize("value", ["bearer mbx_1", "BEARER   mbx_1", "Bearer mbx_1\xa0"])
def test_program_has_one_share_however_it_sends_its_secret(value):
    environ = {"PATH_INFO": "/voip/mailbox", "HTTP_AUTHORIZATION": value}
    assert identify_caller(environ) == identify_caller(build_environ()) == "mbx_1"


def test_engine_has_one_share_however_it_sends_its_secret():
    path = "/asterisk/voicemail/single"
    environs = [
        {"PATH_INFO": path, "HTTP_AUTHORIZATION": "Basic YTptYnhfMQ=="},  # a:mbx_1
        {"PATH_INFO": path, "HTTP_AUTHORIZATION": "basic  YTptYnhfMR=="},
        build_environ(path=path) | {"HTTP_AUTHORIZATION": "Basic YTptYnhfMQ=="},
        build_environ(path=path, secret="x") | {"HTTP_AUTHORIZATION": "Basic YTptYnhfMQ=="},
    ]
    assert {identify_caller(environ) for environ in environs} == {"a:mbx_1"}


def test_ipv6_network_of_a_host_has_one_share(settings):
    settings.TRUSTED_PROXIES = []
    near, far = (
        {identify_caller({"PATH_INFO": "/sign-in/", "REMOTE_ADDR": address}) for address in group}
        for group in (["2001:db8::1", "2001:db8::ffff:2"], ["2001:db8:0:1::1"])
    )
    assert len(near) == 1
    assert near != far
