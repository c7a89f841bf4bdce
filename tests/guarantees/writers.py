"""Clients that record each acknowledged write, to compare the data with it later."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event
from uuid import uuid4

from mailboxes.audio.recordings import Recording
from tests.recordings import make_form
from tests.service import OverSocket

LIST = "/voip/mailbox"


@dataclass
class ExpectedMailbox:
    """A mailbox according to the answers so far."""

    uuid: str
    fields: dict
    recipients: dict = field(default_factory=dict)  # UUIDs by address
    is_deleted: bool = False
    changes: int = 1  # rows of its history
    repeats: int = 0  # of changes: each may have one more, since it sets the pass code again


@dataclass
class PendingCall:
    """A call that has no final answer yet. `record` is called with that answer."""

    method: str
    path: str
    body: dict | bytes | None
    record: Callable
    key: str = field(default_factory=lambda: f'"{uuid4()}"')
    headers: dict = field(default_factory=dict)
    tries: int = 0


class Writer:
    """Writes to its own mailboxes, and repeats each call until it is answered.

    A repeated POST has the same Idempotency-Key, so it is not executed twice.
    """

    def __init__(self, name, headers, port):
        self.name = name
        self.service = OverSocket(headers, port=port)
        self.random = random.Random(name)
        self.mailboxes = []
        self.pending = None
        self.acknowledged = self.repeated = self.refused = self.unanswered = 0
        self.longest = 0.0  # seconds until an answer came

    def write(self) -> bool:
        """Send the pending call, or a new one. Return False if it has no answer, or 503."""
        self.pending = call = self.pending or self.next_call()
        call.tries += 1
        has_key = call.method == "POST" and call.key
        headers = call.headers | ({"Idempotency-Key": call.key} if has_key else {})
        start = time.monotonic()
        try:
            answer = self.service.call(call.method, call.path, call.body, headers)
        except TimeoutError:
            raise  # the service hangs: no answer came within the client's timeout
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
        # The database still works on the first attempt, whose answer was lost.
        if call.method == "POST" and call.tries > 1 and answer.status == 409:
            return False
        # The first attempt, whose answer was lost, has deleted it already.
        is_gone = call.method == "DELETE" and call.tries > 1 and answer.status == 404
        assert answer.status in (200, 201, 204) or is_gone, answer
        call.record(answer)
        self.acknowledged += 1
        self.repeated += call.tries > 1
        self.pending = None
        return True

    def write_until(self, stop: Event):
        while not stop.is_set():
            if not self.write():
                time.sleep(0.02)

    def settle(self, seconds=60):
        """Repeat the pending call until it is answered. Raise TimeoutError after these seconds."""
        deadline = time.monotonic() + seconds
        while self.pending and not self.write():
            if time.monotonic() > deadline:
                raise TimeoutError(f"No answer within {seconds} seconds.")
            time.sleep(0.02)

    def next_call(self) -> PendingCall:
        if len(self.mailboxes) < 4:
            return self.create_mailbox()
        mailbox = self.random.choice(self.mailboxes)
        if mailbox.is_deleted:
            return self.restore(mailbox)
        kinds = [self.change] * 5 + [self.delete]
        kinds += [self.add_recipient] * 2 if len(mailbox.recipients) < 9 else []
        kinds += [self.remove_recipient] if mailbox.recipients else []
        return self.random.choice(kinds)(mailbox)

    def new_fields(self) -> dict:
        """Return fields that differ from all before, so that each call is a change."""
        number = self.acknowledged
        return {
            "name": f"{self.name} {number}",
            "password": f"{number % 10000:04}",
            "transcribe": bool(number % 2),
        }

    def create_mailbox(self):
        fields = self.new_fields()

        def record(answer):
            self.mailboxes.append(ExpectedMailbox(answer.result["uuid"], fields))

        return PendingCall("POST", LIST, fields, record)

    def change(self, mailbox):
        fields = self.new_fields()

        def record(answer):
            mailbox.fields = fields
            mailbox.changes += 1
            mailbox.repeats += call.tries - 1

        call = PendingCall("PATCH", f"{LIST}/{mailbox.uuid}", fields, record)
        return call

    def delete(self, mailbox):
        def record(answer):
            mailbox.is_deleted = True
            mailbox.changes += 1

        return PendingCall("DELETE", f"{LIST}/{mailbox.uuid}", None, record)

    def restore(self, mailbox):
        def record(answer):
            mailbox.is_deleted = False
            mailbox.changes += 1

        return PendingCall("POST", f"{LIST}/{mailbox.uuid}/restore", None, record)

    def add_recipient(self, mailbox):
        email = f"{self.name}-{self.acknowledged}@acme.example"

        def record(answer):
            mailbox.recipients[email] = answer.result["uuid"]
            mailbox.changes += 1

        path = f"{LIST}/{mailbox.uuid}/email-recipient"
        return PendingCall("POST", path, {"email": email}, record)

    def remove_recipient(self, mailbox):
        email = self.random.choice(list(mailbox.recipients))

        def record(answer):
            del mailbox.recipients[email]
            mailbox.changes += 1

        path = f"{LIST}/{mailbox.uuid}/email-recipient/{mailbox.recipients[email]}"
        return PendingCall("DELETE", path, None, record)


NO_LIMIT = "1000000"  # MESSAGES_PER_MAILBOX of a server: an uploader fills its mailbox for long


class Uploader(Writer):
    """Adds messages to a mailbox of its own: half of them with an Idempotency-Key.

    Each has a call_id, so a repeated call is one message, too.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.recordings = {}  # WAV files by the path of their messages

    def next_call(self):
        if not self.mailboxes:
            return self.create_mailbox()
        path = f"{LIST}/{self.mailboxes[0].uuid}/messages"
        wav = Recording(8_000, self.random.randbytes(16_000)).to_wav()
        form = make_form(wav, call_id=str(uuid4()))

        def record(answer):
            self.recordings[f"{path}/{answer.result['uuid']}"] = wav

        call = PendingCall("POST", path, form["body"], record, headers=form["headers"])
        if len(self.recordings) % 2:
            call.key = ""
        return call

    def find_wrong(self) -> list[str]:
        """Return the paths of messages that are missing, twice there, or sound different."""
        wrong = []
        found = set()
        for mailbox in self.mailboxes:
            path = f"{LIST}/{mailbox.uuid}/messages"
            found |= {f"{path}/{row['uuid']}" for row in self.service.get_rows(f"{path}?limit=100")}
        for path, wav in self.recordings.items():
            answer = self.service.get(f"{path}/recording")
            if (answer.status, answer.body) != (200, wav):
                wrong.append(path)
        return wrong + sorted(found ^ self.recordings.keys())


@contextmanager
def open_writers(count, headers, port, kind=Writer):
    """Create writers, and close their connections at the end of the block."""
    writers = [kind(f"w{number}", headers, port) for number in range(count)]
    try:
        yield writers
    finally:
        for writer in writers:
            writer.service.close()


@contextmanager
def writing(writers):
    """Let all of them write at the same time, until the block ends."""
    stop = Event()
    with ThreadPoolExecutor(len(writers)) as pool:
        running = [pool.submit(writer.write_until, stop) for writer in writers]
        try:
            yield
        finally:
            stop.set()
        for future in running:
            future.result()


def sum_counts(writers, name) -> int:
    return sum(getattr(writer, name) for writer in writers)


def watch_growth(writers, count, by=1) -> Callable[[], bool]:
    """Return a function that returns True once each writer's count has grown so much."""
    goals = [getattr(writer, count) + by for writer in writers]
    return lambda: all(
        getattr(writer, count) >= goal for writer, goal in zip(writers, goals, strict=True)
    )


def find_differences(service, writers) -> list:
    """Return the UUIDs of the mailboxes whose data or number of changes is not as recorded."""
    found = {row["uuid"]: row for row in service.get(LIST).result}
    expected = {mailbox.uuid: mailbox for writer in writers for mailbox in writer.mailboxes}
    active = {uuid for uuid, mailbox in expected.items() if not mailbox.is_deleted}
    wrong = sorted(found.keys() ^ active)
    for uuid in found.keys() & active:
        row, mailbox = found[uuid], expected[uuid]
        history = list(service.get_rows(f"{LIST}/{uuid}/history?limit=1000"))
        recipients = {recipient["uuid"] for recipient in row["email_recipients"]}
        if (
            {field: row[field] for field in mailbox.fields} != mailbox.fields
            or recipients != set(mailbox.recipients.values())
            or not 0 <= len(history) - mailbox.changes <= mailbox.repeats
        ):
            wrong.append(uuid)
    return wrong
