"""A process that makes the same call regularly, and measures its latency."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

from tests.service import OverSocket

PAUSE = 0.05  # seconds between two calls


class Call(NamedTuple):
    """The time of a call (`time.monotonic`), and its latency in milliseconds."""

    at: float
    latency: float


class RegularCaller:
    """Context manager: calls until `stop`, in a process of its own.

    In this process, threads with other work would delay its calls.
    """

    def __init__(self, port: int, headers: dict, path: str):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        arguments = (other, port, headers, path)
        self.process = context.Process(target=call_regularly, args=arguments, daemon=True)

    def __enter__(self):
        self.process.start()
        self.connection.recv()  # it has made its first call
        return self

    def stop(self) -> list[Call]:
        self.connection.send(None)
        return self.connection.recv()

    def __exit__(self, *error):
        self.process.terminate()
        self.process.join()


def call_regularly(connection: Connection, port: int, headers: dict, path: str) -> None:
    program, calls = OverSocket(headers, port), []
    while not connection.poll(PAUSE):
        start = time.monotonic()
        answer = program.get(path)
        assert answer.status == 200
        if not calls:
            connection.send(None)
        calls.append(Call(start, (time.monotonic() - start) * 1000))
    connection.send(calls)


def select_latencies(calls: list[Call], start: float, end: float) -> list[float]:
    """Return the latencies of the calls between these times, the least first."""
    return sorted(call.latency for call in calls if start <= call.at < end)
