"""Callers that repeat expensive requests, in a process of their own.

In the measuring process they would slow down the measurement itself.
"""

import json
import select
import socket
import subprocess
import sys
import threading
from collections import Counter

from tests.server import ROOT

CALLERS = 1  # one customer's, on a machine of two cores


class ExpensiveCalls:
    """Context manager: the requests are sent in turn, again and again, by each of the callers.

    `{location}` in a request is replaced by the Location of the last answer that had one.
    `statuses` counts the answers, once the context has ended.
    """

    def __init__(self, port, requests):
        self.work = {"port": port, "requests": [text.decode("latin-1") for text in requests]}

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.guarantees.expensive_calls"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdin.write(f"{json.dumps(self.work)}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()  # started
        return self

    def has_ended_a_round(self) -> bool:
        """Return True if a caller has got the answers to all requests."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def __exit__(self, *error):
        output, _ = self.process.communicate("stop\n", timeout=300)
        statuses = json.loads(output.splitlines()[-1])
        self.statuses = {int(status): count for status, count in statuses.items()}


class Caller(threading.Thread):
    def __init__(self, port, requests, statuses, stop):
        super().__init__(daemon=True)
        self.address, self.requests = ("127.0.0.1", port), requests
        self.statuses, self.stop, self.location = statuses, stop, ""

    def run(self):
        while not self.stop.is_set():
            for request in self.requests:
                if not self.stop.is_set():
                    status = self.send(request.replace("{location}", self.location))
                    self.statuses[status] += 1
            print("a round has ended", flush=True)  # noqa: T201

    def send(self, request) -> int:
        with socket.create_connection(self.address, timeout=300) as connection:
            connection.sendall(request.encode("latin-1"))
            answer = connection.makefile("rb")
            status = int(answer.readline()[9:12])
            for line in iter(answer.readline, b"\r\n"):
                name, _, value = line.decode("latin-1").partition(": ")
                if name.lower() == "location":
                    self.location = value.strip()
            while answer.read(1024 * 1024):
                pass
        return status


def main():
    work = json.loads(sys.stdin.readline())
    statuses, stop = Counter(), threading.Event()
    callers = [Caller(**work, statuses=statuses, stop=stop) for _ in range(CALLERS)]
    print("started", flush=True)  # noqa: T201
    for caller in callers:
        caller.start()
    sys.stdin.readline()
    stop.set()
    for caller in callers:
        caller.join()
    print(json.dumps(statuses), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
