"""Gunicorn's threaded worker, but that no thread waits for a caller, nor for another thread.

Gunicorn's main thread hands each request to a thread of a pool, gets the connection back through
a pipe, and waits for the next one with a poller of its own: more work than many an answer. Here
one thread waits for callers, on an epoll, and answers them itself; threads that take turns at
each request give way to one another at every system call, which takes as long as the work. A
second one takes over where the first is stuck with a request: with a database that does not
answer, a long list, or a disk that is written to. The main thread accepts, and lets go of the late.

Gunicorn gives a connection to a thread with its first byte, and the thread waits for the rest:
a few callers who send a byte every few seconds would hold them all. Here a request is parsed once
it is whole, and an answer that its caller takes slowly waits beside the epoll, too. What is long
holds a thread all the same, and must go fast enough: bodies over AWAITED_BYTES and those whose
length nobody tells, answers that are made while they are sent.
"""

import errno
import io
import math
import os
import re
import select
import selectors
import socket
import time
from collections import deque
from contextlib import suppress

from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import FileWrapper
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from config.plain import PlainFirst, PlainRequest, PlainResponse
from config.turns import Turns

AWAITED_BYTES = 64 * 1024  # of a request, without a thread
REQUEST_SECONDS = 20  # for a request to arrive in, and for an answer to be taken in
BYTES_A_SECOND = 8 * 1024  # for a longer one, beyond that: a slow line has more
LEAVING_SECONDS = 2  # for a caller to hang up in, who knows that no more comes
KEPT_BYTES = 32 * 1024 * 1024  # of answers that callers have not taken yet, without a thread
FILE_BYTES = 1024 * 1024  # of a file, sent as one piece
TAKEN_AT_ONCE = 4  # callers
LOOK_SECONDS = 1  # until a thread that waits for callers looks at what another may have left
READS = {"GET", "HEAD", "OPTIONS"}

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
NO_LENGTH = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
WAITS_FOR_US = re.compile(rb"\r\nexpect:", re.IGNORECASE)


def seconds_for(size) -> float:
    """How long so many bytes may take."""
    return REQUEST_SECONDS + size / BYTES_A_SECOND


def too_slow() -> OSError:
    """What is raised as if the caller had gone."""
    return ConnectionResetError(errno.ECONNRESET, "The caller is too slow.")


class Arriving(SocketUnreader):
    """What a caller has sent of its request, of which the parser reads."""

    def __init__(self, sock):
        super().__init__(sock)
        self.begin()

    def begin(self):
        """Another request: its time runs from its first byte."""
        self.count = len(self.buf.getvalue())
        self.first_at = time.monotonic() if self.count else None

    def chunk(self, size_hint=None):
        """The next bytes, waited for. Raises ConnectionResetError where the request is late."""
        if self.first_at and time.monotonic() > self.ends_at():
            raise too_slow()
        return self.counted(super().chunk(size_hint))

    def take(self) -> bool:
        """Take what is there by now, waiting for nothing. False where the caller has gone."""
        try:
            data = self.counted(self.sock.recv(AWAITED_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        self.buf.seek(0, io.SEEK_END)
        self.buf.write(data)
        return bool(data)

    def counted(self, data) -> bytes:
        self.first_at = self.first_at or time.monotonic()
        self.count += len(data)
        return data

    def ends_at(self) -> float:
        """When a request that has begun is late."""
        return self.first_at + seconds_for(self.count)

    def is_whole(self) -> bool:
        """Whether the parser can read the request at once, or as much of it as is awaited."""
        request = self.buf.getvalue().lstrip(b"\r\n")
        head, end, body = request.partition(HEAD_END)
        if len(request) >= AWAITED_BYTES:
            return True
        if not end:
            return False
        head += b"\r\n"
        if WAITS_FOR_US.search(head):
            return True
        if NO_LENGTH.search(head):
            return HEAD_END in body  # as the last chunk ends
        length = LENGTH.search(head)
        return not length or len(body) >= min(int(length[1]), AWAITED_BYTES - len(head))


class Line(socket.socket):
    """A caller's socket, which keeps what is to be sent until the caller takes it."""

    def __init__(self, sock):
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self.unsent = []
        self.kept = 0  # bytes, until all are sent: a part of a piece keeps the whole of it

    def settimeout(self, value):
        if value != self.gettimeout():  # Gunicorn asks for what is so already, by a system call
            super().settimeout(value)

    def setblocking(self, flag):
        self.settimeout(None if flag else 0.0)

    def sendall(self, data, flags=0):
        """Keep it, to go out together with what follows: a head and its body.

        An answer of more pieces is made while it is sent: its thread waits for the caller.
        """
        if len(self.unsent) > 1:
            self.send_waiting(seconds_for(self.kept))
        self.unsent.append(data)
        self.kept += len(data)

    def sendfile(self, file, offset=0, count=0):
        """Keep these bytes of the file."""
        end = offset + count
        for start in range(offset, end, FILE_BYTES):
            self.sendall(os.pread(file.fileno(), min(FILE_BYTES, end - start), start))

    def send_what_it_takes(self) -> bool:
        """Send without waiting. False where something is left."""
        while self.unsent:
            try:
                sent = self.sendmsg(self.unsent, (), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            while self.unsent and sent >= len(self.unsent[0]):
                sent -= len(self.unsent.pop(0))
            if sent:
                self.unsent[0] = memoryview(self.unsent[0])[sent:]
        self.kept = 0
        return True

    def send_waiting(self, seconds):
        """Send it all. Raises ConnectionResetError where that takes longer."""
        self.settimeout(seconds)
        try:
            for piece in self.unsent:
                super().sendall(piece)
        except TimeoutError:
            raise too_slow() from None
        finally:
            self.settimeout(None)
            self.unsent, self.kept = [], 0


class Connection(TConn):
    """A caller's. Whoever has taken it out of Worker.waiting looks after it, and nobody else."""

    def __init__(self, cfg, sock, client, server):
        super().__init__(cfg, Line(sock), client, server)
        self.parser = PlainFirst(cfg, self.sock, client, server)
        self.init()
        self.arriving = self.parser.unreader = Arriving(self.sock)
        self.descriptor = self.sock.fileno()
        self.awaited = select.EPOLLIN
        self.is_last = self.is_leaving = False

    def is_idle(self) -> bool:
        return not (self.arriving.first_at or self.sock.unsent or self.is_last)

    def has_called(self) -> bool:
        """Whether it has sent something that no thread has taken yet."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def set_timeout(self):
        """Its time, unless the caller does what is awaited before."""
        if self.is_idle():
            super().set_timeout()
        elif not (self.sock.unsent or self.is_leaving):
            self.timeout = self.arriving.ends_at()

    def leave(self):
        """Say that no more comes. Closed at once, it could lose the last answer (RFC 9112, 9.6)."""
        self.is_leaving = True
        self.timeout = time.monotonic() + LEAVING_SECONDS
        self.sock.shutdown(socket.SHUT_WR)


class Worker(ThreadWorker):
    """Serves `threads` callers at once, and lets the others wait without a thread.

    A connection stands in `waiting`, by its descriptor, while nobody looks after it. Who takes it
    out, which dict.pop lets only one do, owns it: a thread, to serve it, or the main thread, to
    close it. A thread that is stuck leaves what else it has taken to the next one, in `taken`. An
    event is no more than a hint to look: one that is old, for a descriptor that has become another
    connection's, finds nothing to do and does no harm.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting = self.keepalived_conns = {}  # Gunicorn looks how many there are
        self.taken = deque()  # out of `waiting`, each for the thread that gets to it
        self.idle_until = math.inf
        self.looked_at = 0.0
        self.turns = Turns()

    # --- The main thread ---------------------------------------------------------------

    def run(self):
        """Accept callers and hang up on the late, until told to go; then answer what has begun."""
        # As attributes: Gunicorn looks them up for each header, and its own way is a long one.
        vars(self.cfg).update({name: found.get() for name, found in self.cfg.settings.items()})
        self.poller.register(
            self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks
        )
        self.ready = select.epoll()
        self.closing_time = os.eventfd(0)
        self.ready.register(self.closing_time, select.EPOLLIN)
        for _ in range(self.cfg.threads):
            self.tpool.submit(self.serve)

        while self.alive and self.is_parent_alive():
            self.turn(accepting=self.nr_conns < self.worker_connections)

        self.alive = False
        now = time.monotonic()
        self.idle_until = now + STOP_KEEPALIVE_LINGER
        while self.nr_conns and time.monotonic() < now + self.cfg.graceful_timeout:
            self.turn(accepting=False)
        self.turns.end()
        os.eventfd_write(self.closing_time, 1)
        for listener in self.sockets:
            listener.close()

    def turn(self, accepting):
        self.notify()
        self.set_accept_enabled(accepting)
        pause = 1.0 if self.alive else 0.1
        self.wait_for_and_dispatch_events(timeout=pause)
        if time.monotonic() > self.looked_at + pause:
            self.looked_at = time.monotonic()
            self.hang_up_on_the_late()

    def accept(self, listener):
        """Take some of the callers who wait. The more it has, the longer it leaves them to other workers.

        Who comes in a crowd, and stays, would all be one worker's: the first that is awake.
        """
        time.sleep(min(self.nr_conns, 10) / 10_000)
        for _ in range(TAKEN_AT_ONCE):
            if self.nr_conns >= self.worker_connections or not self.accept_one(listener):
                return

    def accept_one(self, listener) -> bool:
        """Whether there was one, and room for it."""
        try:
            sock, client = listener.accept()
            conn = Connection(self.cfg, sock, client, listener.getsockname())
            self.ready.register(conn.descriptor, select.EPOLLONESHOT)
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # descriptors or memory are used up, until others hang up
            self.log.error("Callers have to wait: %s.", error.strerror)
            time.sleep(1)
            return False
        self.nr_conns += 1
        self.wait(conn)
        return True

    def hang_up_on_the_late(self):
        for descriptor, conn in self.waiting.copy().items():
            if self.is_late(conn) and self.waiting.pop(descriptor, None):
                # A thread may have served it since the first look.
                if self.is_late(conn):
                    self.close(conn)
                else:
                    self.wait(conn)

    def is_late(self, conn) -> bool:
        """Whether its time is over; not where it is we who are late."""
        if conn.is_idle():
            return time.monotonic() > min(conn.timeout, self.idle_until) and not conn.has_called()
        return time.monotonic() > conn.timeout

    def forget(self):
        self.nr_conns -= 1

    # --- Any thread that owns the connection ---------------------------------------------

    def wait(self, conn):
        """Leave it to whichever thread is free when its caller has done what is awaited."""
        conn.set_timeout()
        self.waiting[conn.descriptor] = conn  # first: it may be ready at once
        with suppress(OSError):  # it was late, and is closed already
            self.ready.modify(conn.descriptor, conn.awaited | select.EPOLLONESHOT)

    def close(self, conn):
        conn.close()
        self.method_queue.defer(self.forget)  # counted by one thread alone

    # --- The threads that serve ----------------------------------------------------------

    def serve(self):
        """Look after one connection after the other, whichever is ready, in this thread's turns."""
        while turn := self.turns.take():
            self.serve_taken(turn)  # what the one before has left
            while self.turns.is_still(turn):
                self.take(turn)
                self.serve_taken(turn)

    def take(self, turn):
        """Take a connection that is ready."""
        if conn := self.next_ready(LOOK_SECONDS):
            self.taken.append(conn)

    def serve_taken(self, turn):
        """Look after those that have been taken, but for those that another thread gets to."""
        while conn := self.next_taken():
            turn.steps += 1
            self.look_after(conn)
            turn.steps += 1

    def next_taken(self):
        with suppress(IndexError):
            return self.taken.popleft()
        return None

    def next_ready(self, timeout):
        """A connection that is ready, taken out; None where there is none, or somebody else has it."""
        for descriptor, _ in self.ready.poll(timeout, 1):
            return self.waiting.pop(descriptor, None)
        return None

    def look_after(self, conn):
        """Do all that can be done without waiting for the caller; then wait for it, or hang up."""
        try:
            conn.awaited = self.attend(conn)
        except OSError:  # the caller has hung up
            conn.awaited = None
        except BaseException:  # no fault ends the thread, which others need
            self.log.exception("A connection is closed.")
            conn.awaited = None
        if conn.awaited:
            self.wait(conn)
        else:
            self.close(conn)

    def attend(self, conn):
        """Send, take, answer. What to wait for then; None: the connection is to be closed."""
        line, arriving = conn.sock, conn.arriving
        has_begun = line.unsent or conn.is_leaving or conn.parser.ahead
        is_there = bool(has_begun) or arriving.take()
        while self.has_sent(line):
            if conn.is_last:
                if not conn.is_leaving:
                    conn.leave()
                is_there = arriving.take() and arriving.count < AWAITED_BYTES
                return select.EPOLLIN if is_there else None
            if not (conn.parser.ahead or arriving.is_whole()):
                return select.EPOLLIN if is_there else None
            conn.is_last = not self.handle(conn)
            arriving.begin()
            conn.timeout = time.monotonic() + seconds_for(line.kept)
        return select.EPOLLOUT

    def has_sent(self, line) -> bool:
        """Send what the caller takes; all of it, waiting, where much is kept for others already."""
        if line.send_what_it_takes():
            return True
        if sum(conn.sock.kept for conn in self.waiting.copy().values()) < KEPT_BYTES:
            return False
        line.send_waiting(REQUEST_SECONDS)
        return True

    def handle_request(self, req, conn):
        """Answer it; whether another may follow. Who writes waits for a disk: meanwhile another thread answers."""
        if req.method not in READS:
            self.turns.ask()
        if not isinstance(req, PlainRequest):
            return super().handle_request(req, conn)
        response = PlainResponse(req, conn.sock, self.cfg)
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive or len(self.waiting) >= self.max_keepalived:
            response.force_close()
        self.answer(req, response)
        return not response.should_close()

    def answer(self, req, response):
        """Send what the application says, to its end. Raises StopIteration where no other answer may follow."""
        try:
            pieces = self.wsgi(req.environ, response.start_response)
            try:
                if isinstance(pieces, FileWrapper):
                    response.write_file(pieces)
                else:
                    for piece in pieces:
                        response.write(piece)
                response.close()
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except OSError:  # the caller has hung up, most often
            raise
        except Exception as error:
            if response.headers_sent:
                self.log.exception("An answer breaks off.")
                raise StopIteration from error
            raise

    def _keepalive_after(self, conn, keepalive):
        """Whether another request may follow: only after the end of this one's body."""
        if keepalive and (
            conn.parser.mesg is None or getattr(conn.parser.mesg.body.reader, "length", None) == 0
        ):
            conn.parser.mesg = None  # Gunicorn would make sure of its end, twice
            return True
        return super()._keepalive_after(conn, keepalive)

    def handle_quit(self, sig, frame):
        """Ctrl-C: answer what has begun, as at SIGTERM.

        Gunicorn's own stops the threads from within the signal's handler, and waits for ever
        where that came while a thread was being started.
        """
        self.handle_exit(sig, frame)
