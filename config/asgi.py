"""The ASGI application that uvicorn serves, and the start and the end of a worker process."""

import asyncio
import logging
import multiprocessing
import signal

from django.core.checks import Tags, run_checks
from django.db import connections

from config.bridge import Bridge
from config.wsgi import application as wsgi_application
from mailboxes.monitoring.heartbeat import Heartbeat
from mailboxes.monitoring.logs import LineWriter

log = logging.getLogger("mailboxes")
bridge = Bridge(wsgi_application)
heartbeat = Heartbeat()


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await run_lifespan(receive, send)
    else:
        await bridge(scope, receive, send)


async def run_lifespan(receive, send):
    """Call `start` before the first request, and `stop` after the last (ASGI's lifespan protocol)."""
    stop_with_parent()
    for command in (start, stop):
        event = (await receive())["type"]
        await asyncio.to_thread(command)
        await send({"type": f"{event}.complete"})


def start():
    """Warn of pass codes that no key decrypts, and record that this process runs."""
    for warning in run_checks(tags=[Tags.database], databases=["default"]):
        log.error(warning.msg)  # no "%s": an error report would show nothing else
    connections.close_all()
    heartbeat.start()
    LineWriter.start()


def stop():
    heartbeat.stop()
    LineWriter.stop()


def stop_with_parent():
    """Stop if the parent is killed: it would neither replace this worker nor stop it any more."""
    if parent := multiprocessing.parent_process():
        loop = asyncio.get_running_loop()

        def stop():
            loop.remove_reader(parent.sentinel)
            signal.raise_signal(signal.SIGTERM)

        loop.add_reader(parent.sentinel, stop)
