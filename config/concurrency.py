"""Slots: which requests get a thread of the process, so that no caller takes all of them.

A request that waits for a slot occupies no thread. So callers who wait for a lock of the
database, or for long answers, leave a thread to others.
"""

import asyncio
import base64
from asyncio import Semaphore
from collections import Counter
from contextlib import nullcontext
from weakref import WeakValueDictionary

from django.conf import settings

from mailboxes import contract
from mailboxes.http.bodies import MAX_ANSWER_FILES, REFUSAL
from mailboxes.http.proxies import TrustedProxies, group_address

THREADS = 4  # in each process; each has its own database connection

# In a process at the same time. Reads wait for no lock, so they always find a thread.
REQUESTS_OF_CALLER = THREADS - 1
WRITES_OF_CALLER = THREADS - 2
WRITES = THREADS - 1
# Long answers that a caller has not read yet. Without a limit, one who reads slowly would take all
# files that a process may open for answers, and its memory.
ANSWERS_OF_CALLER = MAX_ANSWER_FILES // 4
MAX_WAITING = 200  # reads of a caller, and as many writes

ADDRESS_HEADERS = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")


class BusyError(Exception):
    """Too many requests of the caller wait, or this one has waited too long."""


class Caller:
    """The requests of one caller in this process."""

    def __init__(self) -> None:
        self.requests = Semaphore(REQUESTS_OF_CALLER)
        self.writes = Semaphore(WRITES_OF_CALLER)
        self.answers = Semaphore(ANSWERS_OF_CALLER)
        self.waiting: Counter[bool] = Counter()  # reads (False) and writes (True)


class Slots:
    """Limits the requests that run at the same time: those of a caller, and those that write."""

    def __init__(self) -> None:
        self.callers: WeakValueDictionary[str, Caller] = WeakValueDictionary()
        self.writes = Semaphore(WRITES)

    def get(self, environ):
        """Return the slot of the request, an asynchronous context manager that raises BusyError."""
        if REFUSAL in environ or contract.is_health_path(environ["PATH_INFO"]):
            return nullcontext()
        name = identify_caller(environ)
        caller = self.callers.get(name) or self.callers.setdefault(name, Caller())
        if not is_write(environ):
            return Slot(caller, [caller.requests, caller.answers], writes=False)
        # The shared one last: while requests wait for others of their caller, others have it.
        own = [caller.writes, caller.requests, caller.answers]
        return Slot(caller, [*own, self.writes], writes=True)


class Slot:
    def __init__(self, caller: Caller, semaphores: list[Semaphore], writes: bool):
        self.caller, self.semaphores, self.writes = caller, semaphores, writes
        self.acquired: list[Semaphore] = []

    async def __aenter__(self):
        try:
            if any(semaphore.locked() for semaphore in self.semaphores):
                await self.wait()
            else:
                await self.acquire()
        except BaseException:  # cancelled too: the places must not be lost
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error):
        for semaphore in self.acquired:
            semaphore.release()

    def keep_answer(self) -> None:
        """Count the request's answer as unread, until `end_answer`."""
        self.acquired.remove(self.caller.answers)

    def end_answer(self) -> None:
        self.caller.answers.release()

    async def acquire(self) -> None:
        for semaphore in self.semaphores:
            await semaphore.acquire()
            self.acquired.append(semaphore)

    async def wait(self) -> None:
        waiting = self.caller.waiting
        if waiting[self.writes] >= MAX_WAITING:
            raise BusyError("Too many of your requests wait: try again later.")
        waiting[self.writes] += 1
        try:
            async with asyncio.timeout(settings.DATABASE_TIMEOUT):
                await self.acquire()
        except TimeoutError:
            raise BusyError("The service is busy: try again later.") from None
        finally:
            waiting[self.writes] -= 1


def identify_caller(environ) -> str:
    """Return a program's secret, right or wrong, or else the client's address or network."""
    if contract.is_machine_path(environ["PATH_INFO"]) and (secret := find_secret(environ)):
        return secret
    headers = {name: environ[name] for name in ADDRESS_HEADERS if name in environ}
    TrustedProxies.set_caller_address(headers)
    return group_address(headers["REMOTE_ADDR"])


def find_secret(environ) -> str:
    """Return the secret of a request, in one form however it was sent; or an empty text.

    Otherwise one credential would have several shares: as `bearer X`, `Bearer  X` and so on.
    """
    is_engine = contract.is_engine_path(environ["PATH_INFO"])
    if not is_engine and "HTTP_X_AUTH_PASSWORD" in environ:
        return environ["HTTP_X_AUTH_PASSWORD"]
    secret = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2].strip()
    if not is_engine:
        return secret
    try:
        return base64.b64decode(secret).decode("latin-1")  # several texts stand for the same bytes
    except ValueError:
        return secret


def is_write(environ) -> bool:
    """Return True if the request may write. Of an engine's, only pass code updates do."""
    path = environ["PATH_INFO"]
    if contract.is_engine_path(path):
        return contract.is_engine_update(path)
    return environ["REQUEST_METHOD"] not in contract.SAFE_METHODS
