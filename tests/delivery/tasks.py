"""Tasks for tests. They write lines to a file, so that other processes can read them."""

import os
import signal
import time
from pathlib import Path

from django.utils.translation import gettext_lazy

from mailboxes.delivery.jobs import PermanentError, TemporaryError, retry, task
from mailboxes.models import Mailbox, Message


def write(path, line):
    with Path(path).open("a") as file:
        file.write(f"{line}\n")


@task
def note(path, line):
    write(path, line)


@task(queue_name="mail")
def work_slowly(path, seconds):
    write(path, "start")
    time.sleep(seconds)
    write(path, "end")


@task(queue_name="mail")
def note_slowly(path, line):
    time.sleep(0.05)
    write(path, line)


@task
def fail(path, kind):
    write(path, "try")
    raise {"temporary": TemporaryError("busy"), "permanent": PermanentError("gone")}.get(
        kind, ValueError("caller +49 30 1234")
    )


@task
def kill_worker(path):
    write(path, "try")
    os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True)
def note_attempt(context, path):
    write(path, context.attempt)


@task
def about_mailbox(uuid=None):
    """Do nothing."""


def find_subject(uuid=None):
    return (
        Mailbox.objects.filter(pk=uuid).first()
        or Message.objects.select_related("mailbox").filter(pk=uuid).first()
    )


def note_end(result):
    write(result.args[0], "gave up")


retry(fail, attempts=3, first=10, longest=15, give_up=note_end)
retry(kill_worker, attempts=2, give_up=note_end)
retry(about_mailbox, title=gettext_lazy("Send a mail"), find_subject=find_subject)
