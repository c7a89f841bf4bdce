"""ASGI application, and the start and end of a worker process."""

import asyncio
import gc
import logging
import multiprocessing
import signal
import sys
import tempfile
from contextlib import ExitStack

from django.conf import settings
from django.core.checks import Tags, run_checks
from django.db import connections

from config.bridge import Bridge
from config.wsgi import application as wsgi_application
from mailboxes.monitoring.heartbeat import Heartbeat
from mailboxes.monitoring.logs import LineWriter
from mailboxes.temporary_folders import temporary_folder

SWITCH_SECONDS = 0.0001  # Python's default is 50 times as long

log = logging.getLogger("mailboxes")
bridge = Bridge(wsgi_application)
heartbeat = Heartbeat()
at_stop = ExitStack()


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await run_lifespan(receive, send)
    else:
        await bridge(scope, receive, send)


async def run_lifespan(receive, send):
    """Start and stop this worker process (ASGI's lifespan protocol)."""
    stop_with_parent()
    for command in (start_worker, stop_worker):
        event = (await receive())["type"]
        await asyncio.to_thread(command)
        await send({"type": f"{event}.complete"})


def start_worker():
    """Log an error if pass codes cannot be decrypted, and record that this process runs.

    All temporary files of the process, uploads too, are put into a folder of its own.
    """
    tempfile.tempdir = str(at_stop.enter_context(temporary_folder(settings.TEMP_DIR)))
    share_threads_fairly()
    for warning in run_checks(tags=[Tags.database], databases=["default"]):
        log.error(warning.msg)  # without "%s": Sentry gets only the message, without its arguments
    connections.close_all()
    heartbeat.start()
    LineWriter.start()


def share_threads_fairly():
    """Keep a short call from waiting for a long one in another thread of the process.

    A call gives up Python's lock several times, and gets it back from a busy thread only after the
    switch interval. A full garbage collection keeps the lock until it has visited every object,
    unless they are frozen: modules and classes, which stay as long as the process.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()


def stop_worker():
    heartbeat.stop()
    at_stop.close()
    LineWriter.stop()


def stop_with_parent():
    """Stop this worker process if its parent is killed, because nothing else would stop it."""
    if parent := multiprocessing.parent_process():
        loop = asyncio.get_running_loop()

        def stop():
            loop.remove_reader(parent.sentinel)
            signal.raise_signal(signal.SIGTERM)

        loop.add_reader(parent.sentinel, stop)
