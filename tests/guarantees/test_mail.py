"""Each recipient of a message gets one mail, even if task workers are killed."""

import asyncio
import random
import re
import time
from collections import defaultdict
from uuid import uuid4

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.models import Account, Mailbox, MailDelivery
from tests.databases import default_database, prepare
from tests.delivery.running import RunningWorker
from tests.delivery.smtp import OK, Mailman
from tests.messages import leave_message
from tests.server import until

# Recipients by what the server does with them: it refuses "away" half of the time and "gone"
# always, breaks off before it has the mail of "drop" half of the time, and always after its 250 to
# the mail of "cut".
RECIPIENTS = [f"{name}@example.com" for name in ("ann", "bob", "away", "drop", "cut", "gone")]
MESSAGES = 2  # in each round

# Others take over a worker's tasks after this time without a sign of life, in seconds. On a busy
# machine a sign of life may be some seconds late.
ALIVE_AGE = 10

# A kill explains a mail that comes again if it was so many seconds before or after the server had
# the mail. The server may have it before the test sees that, and a worker that lives soon notes it.
SEEN_SECONDS, NOTE_SECONDS = 0.2, 2

MESSAGE_ID = re.compile(rb"^Message-ID: <(.+)@", re.MULTILINE | re.IGNORECASE)


class FaultyMailman(Mailman):
    """A slow server with random faults. It records when each mail arrived."""

    def __init__(self):
        super().__init__()
        self.arrivals = defaultdict(list)  # by Message-ID

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address.startswith("gone"):
            return "550 No such user"
        if address.startswith("away") and random.random() < 0.5:
            return "451 Try again later"
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        [address] = envelope.rcpt_tos
        if address.startswith("drop") and random.random() < 0.5:
            server.transport.abort()
            return OK
        self.arrivals[MESSAGE_ID.search(envelope.content)[1].decode()].append(time.monotonic())
        await asyncio.sleep(random.random() * 0.1)
        if address.startswith("cut"):
            server.transport.write(b"250 OK\r\n")
            server.transport.close()
        return OK

    def count(self) -> int:
        return sum(map(len, self.arrivals.values()))


def find_wrong(arrivals, kills, workers) -> tuple[list, int]:
    """Return the mails that were lost, or sent again for no reason, and how many came twice.

    Arrivals are times by Message-ID, and workers those that ran a task, by its id.
    """
    wrong, repeated = [], 0
    for delivery in MailDelivery.objects.all():
        times = arrivals.get(delivery.local_id, [])
        if delivery.email.startswith("gone"):
            if times or delivery.state != "failed":
                wrong.append((delivery.email, delivery.state, times))
            continue
        excused = sum(
            any(-SEEN_SECONDS <= kill - at <= NOTE_SECONDS for kill in kills) for at in times[:-1]
        )
        # No worker sends a mail twice that the server has accepted.
        excused = min(excused, len(set(workers[str(delivery.task)])) - 1)
        repeated += excused
        if delivery.state != "sent" or len(times) - excused != 1:
            wrong.append((delivery.email, delivery.state, times))
    return wrong, repeated


def read_workers() -> dict[str, list]:
    rows = DBTaskResult.objects.values_list("id", "worker_ids")
    return {str(pk): workers for pk, workers in rows}


def hurry() -> None:
    """Let refused mails be tried again at once."""
    now = timezone.now()
    waiting = DBTaskResult.objects.filter(status="READY", run_after__year__lt=9999)
    waiting.filter(run_after__gt=now).update(run_after=now)


def count_unfinished() -> int:
    hurry()
    return MailDelivery.objects.filter(state__in=MailDelivery.UNFINISHED).count()


def wait_for_all() -> None:
    """Wait until every mail was sent or failed. Raise AssertionError after no progress."""
    while left := count_unfinished():
        until(lambda left=left: count_unfinished() < left)


@pytest.mark.long
def test_each_recipient_has_one_mail_although_workers_are_killed(
    databases, size, promise, settings
):
    rounds, url, kills = size(2, 50), databases.empty(), []
    settings.SENDS_MAIL = True
    prepare(url)
    with FaultyMailman() as server, default_database(url):
        mailbox = Mailbox.objects.create(account=Account.objects.get(), name="Sales")
        for address in RECIPIENTS:
            mailbox.add_recipient(address)
        environment = {"EMAIL_URL": server.url, "MAIL_FROM": "voicemail@example.com"}
        with RunningWorker(url, ALIVE_AGE, "mail", **environment) as worker:
            for _ in range(rounds):
                before = server.count()
                for _ in range(MESSAGES):
                    leave_message(mailbox)
                hurry()
                until(lambda before=before: server.count() > before)
                time.sleep(random.uniform(0, 0.4))
                kills.append(time.monotonic())
                worker.kill()
                worker.start()
            wait_for_all()
        count = MailDelivery.objects.count()
        assert count == rounds * MESSAGES * len(RECIPIENTS)
        wrong, repeated = find_wrong(server.arrivals, kills, read_workers())
    tried = (
        f"{rounds} kills, {count:,} mails; {repeated} were sent again, since the worker was killed "
        "after it had handed them over, and before its note"
    )
    print(wrong, kills)  # noqa: T201  pytest shows it if the test fails
    title = f"Each recipient has one mail when workers are killed, {databases.engine}"
    promise(title, tried, len(wrong))


@pytest.mark.django_db
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("times", "workers", "wrong"),
    [
        ([1], "a", 0),
        ([], "a", 1),
        ([1, 99], "ab", 1),
        ([9, 99], "ab", 0),
        ([9, 99], "a", 1),
        ([9, 9.5, 99], "abc", 0),
        ([9, 50, 99], "abc", 1),
    ],
)
def test_checker_finds_a_lost_or_repeated_mail(account, times, workers, wrong):
    mailbox, task = Mailbox.objects.create(account=account, name="Sales"), uuid4()
    values = {"mailbox": mailbox, "email": RECIPIENTS[0], "state": "sent", "task": task}
    delivery = MailDelivery.objects.create(message=leave_message(mailbox), **values)
    assert len(find_wrong({delivery.local_id: times}, [10], {str(task): workers})[0]) == wrong
