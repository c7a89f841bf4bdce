"""Settings of the production server, Gunicorn, each with its reason.

Gunicorn, and its own parser, because they hand on every header as it came, or refuse it. A server
that makes a header it cannot decode an empty one, or cuts a folded one, turns a wrong X-Auth-For
into none, and the command would act on another account. What is plain it need not look at
(config/plain.py). How requests come to threads is our own (config/worker.py, config/turns.py):
Gunicorn's way costs more than many an answer, and lets slow callers hold it up.
"""

import gc
import logging
import os
import socket
import struct

from django.core.checks import Tags, run_checks
from django.db import connections

from config import settings

wsgi_app = "config.wsgi:application"
http_parser = "python"

worker_class = "config.worker.Worker"
workers = settings.WORKERS
# One answers; the others take over where it is stuck: with a database that does not answer, a long
# list, or a disk that is written to.
threads = 4

# Migrations and settings are read once, and a wrong setting is told once.
preload_app = True

# Clients of the API keep their connection from call to call.
keepalive = 75

# What is on its way when the process is told to go is answered first.
graceful_timeout = 30

limit_request_line = 8190

# Whose word is taken on the caller's address and scheme is TRUSTED_PROXIES' business.
forwarded_allow_ips = ""

control_socket_disable = True

# A request has its line from RequestLog; below this level Gunicorn repeats what callers sent.
loglevel = "error"

SILENCE_SECONDS = 10


log = logging.getLogger("mailboxes")


def when_ready(server):
    """The service is loaded, and callers can connect; no worker has begun."""
    # Told to whoever starts it with other keys than those that sealed what is there.
    for warning in run_checks(tags=[Tags.database], databases=["default"]):
        log.error(warning.msg)  # no "%s": that is all that an error report would say
    connections.close_all()  # each worker makes its own
    # Whoever changes over to new code waits for the second server's line.
    log.info("Process %s has loaded the service.", os.getpid())
    let_go_of_the_silent(server.LISTENERS)
    # What is loaded stays: workers share its memory and need not look through it for garbage.
    gc.freeze()


def let_go_of_the_silent(listeners):
    """Wait for no caller for long who falls silent while a thread reads, or takes nothing of what it sends."""
    timeout = struct.pack("ll", SILENCE_SECONDS, 0)
    for listener in listeners:  # accepted connections inherit it
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
