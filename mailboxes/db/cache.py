"""The cache of all processes, a Redis, which calls do without while it does not answer."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache
from redis.exceptions import RedisError

PAUSE_SECONDS = 10  # without the cache after it has failed, in each thread

log = logging.getLogger(__name__)


@contextmanager
def pause_if_down() -> Iterator[None]:
    """Raise RedisError if the cache does not answer, and for a while without asking it again.

    So not every call waits for a timeout.
    """
    if time.monotonic() < getattr(cache, "paused_until", 0):
        raise RedisError("The cache has failed within the last seconds.")
    try:
        yield
    except RedisError:
        # Each thread has its own object.
        cache.paused_until = time.monotonic() + PAUSE_SECONDS  # type: ignore[attr-defined]
        log.warning(
            "The cache does not answer: calls are not counted for %s seconds.", PAUSE_SECONDS
        )
        raise
