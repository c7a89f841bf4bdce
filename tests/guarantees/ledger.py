"""Callers who write down what was answered, so that what the service has can be compared with it."""

import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event

from tests.service import OverSocket

LIST = "/voip/mailbox"


@dataclass
class Box:
    """A mailbox as the answers say it is."""

    uuid: str
    fields: dict
    recipients: dict = field(default_factory=dict)  # address to UUID
    is_deleted: bool = False
    changes: int = 1  # that its history tells


@dataclass
class Call:
    """A call on its way, with what its answer is noted by."""

    method: str
    path: str
    body: dict | None
    note: Callable
    key: str = field(default_factory=lambda: f'"{uuid.uuid4()}"')
    tries: int = 0


class Ledger:
    """Writes to mailboxes of its own, one call after another, each repeated until it is answered.

    A POST is repeated with the Idempotency-Key it had, so what was done is not done twice.
    """

    def __init__(self, name, headers, port):
        self.name = name
        self.service = OverSocket(headers, port=port)
        self.chance = random.Random(name)
        self.boxes = []
        self.open = None
        self.acknowledged = self.repeated = self.refused = self.unanswered = 0
        self.longest = 0.0  # seconds until an answer came

    def write(self) -> bool:
        """Make the call that stands open, or a new one. False if it was not answered, or by 503."""
        self.open = call = self.open or self.next_call()
        call.tries += 1
        headers = {"Idempotency-Key": call.key} if call.method == "POST" else {}
        start = time.monotonic()
        try:
            answer = self.service.call(call.method, call.path, call.body, headers)
        except TimeoutError:
            raise  # an answer is late by the caller's patience: it hangs
        except (OSError, HTTPException):
            self.service.close()
            self.unanswered += 1
            return False
        self.longest = max(self.longest, time.monotonic() - start)
        if answer.status == 503:
            self.refused += 1
            assert answer.headers["retry-after"]
            assert answer.json["result"] == {}
            return False
        # The database has not done yet with the first try, whose answer was lost.
        if call.method == "POST" and call.tries > 1 and answer.status == 409:
            return False
        # What was deleted by the first try, whose answer was lost, is not there for the second.
        gone = call.method == "DELETE" and call.tries > 1 and answer.status == 404
        assert answer.status in (200, 201, 204) or gone, answer
        call.note(answer)
        self.acknowledged += 1
        self.repeated += call.tries > 1
        self.open = None
        return True

    def write_until(self, stop: Event):
        """Write on and on. Whoever gets no answer tries again soon."""
        while not stop.is_set():
            if not self.write():
                time.sleep(0.02)

    def settle(self, seconds=60):
        """Repeat the call that stands open until it is answered. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.open and not self.write():
            if time.monotonic() > deadline:
                raise TimeoutError(f"No answer within {seconds} seconds.")
            time.sleep(0.02)

    def next_call(self) -> Call:
        if len(self.boxes) < 4:
            return self.creation()
        box = self.chance.choice(self.boxes)
        if box.is_deleted:
            return self.restoration(box)
        kinds = [self.change] * 5 + [self.deletion]
        kinds += [self.addition] * 2 if len(box.recipients) < 9 else []
        kinds += [self.removal] if box.recipients else []
        return self.chance.choice(kinds)(box)

    def settings(self) -> dict:
        """Never the same twice: each change is one."""
        number = self.acknowledged
        return {
            "name": f"{self.name} {number}",
            "password": f"{number % 10000:04}",
            "transcribe": bool(number % 2),
        }

    def creation(self):
        fields = self.settings()
        return Call(
            "POST",
            LIST,
            fields,
            lambda answer: self.boxes.append(Box(answer.result["uuid"], fields)),
        )

    def change(self, box):
        fields = self.settings()

        def note(answer):
            box.fields = fields
            box.changes += 1

        return Call("PATCH", f"{LIST}/{box.uuid}", fields, note)

    def deletion(self, box):
        def note(answer):
            box.is_deleted = True
            box.changes += 1

        return Call("DELETE", f"{LIST}/{box.uuid}", None, note)

    def restoration(self, box):
        def note(answer):
            box.is_deleted = False
            box.changes += 1

        return Call("POST", f"{LIST}/{box.uuid}/restore", None, note)

    def addition(self, box):
        email = f"{self.name}-{self.acknowledged}@acme.example"

        def note(answer):
            box.recipients[email] = answer.result["uuid"]
            box.changes += 1

        return Call("POST", f"{LIST}/{box.uuid}/email-recipient", {"email": email}, note)

    def removal(self, box):
        email = self.chance.choice(list(box.recipients))
        recipient = box.recipients[email]

        def note(answer):
            del box.recipients[email]
            box.changes += 1

        return Call("DELETE", f"{LIST}/{box.uuid}/email-recipient/{recipient}", None, note)


@contextmanager
def writing(ledgers):
    """All of them write, side by side, until this is left."""
    stop = Event()
    with ThreadPoolExecutor(len(ledgers)) as pool:
        running = [pool.submit(ledger.write_until, stop) for ledger in ledgers]
        try:
            yield
        finally:
            stop.set()
        for one in running:
            one.result()


def risen(ledgers, count, by=1) -> Callable[[], bool]:
    """Tells whether this count of each ledger has risen so much since this was called."""
    goals = [getattr(ledger, count) + by for ledger in ledgers]
    return lambda: all(
        getattr(ledger, count) >= goal for ledger, goal in zip(ledgers, goals, strict=True)
    )


def differences(service, ledgers) -> list:
    """The mailboxes that are not as the ledgers say: their settings, recipients, and how often they changed."""
    found = {row["uuid"]: row for row in service.get(LIST).result}
    noted = {box.uuid: box for ledger in ledgers for box in ledger.boxes}
    active = {name for name, box in noted.items() if not box.is_deleted}
    wrong = sorted(found.keys() ^ active)
    for name in found.keys() & active:
        row, box = found[name], noted[name]
        told = service.get(f"{LIST}/{name}/history").result
        if (
            {field: row[field] for field in box.fields} != box.fields
            or {one["uuid"] for one in row["email_recipients"]} != set(box.recipients.values())
            or len(told) != box.changes
        ):
            wrong.append(name)
    return wrong
