"""A limit on the calls of one credential, and the headers that say how much is left of it."""

import logging
import math
import time

from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle

log = logging.getLogger(__name__)


class OwnShare(LocMemCache):
    """The counts of one process, where no cache is named. Its keys are ours: they need no looking at."""

    def make_and_validate_key(self, key, version=None):
        return key


class CredentialThrottle(BaseThrottle):
    """So many calls in a window of so many seconds (RATE_LIMIT), counted in the cache.

    With CACHE_URL all processes count together; without it each worker has its share.
    """

    def allow_request(self, request, view) -> bool:
        self.calls, self.seconds = settings.RATE_LIMIT
        window, passed = divmod(time.time(), self.seconds)
        self.reset = self.seconds - passed
        counted = count(f"calls:{request.auth.pk}:{window:.0f}", self.seconds)
        self.left = max(self.calls - counted, 0)
        request.throttle = self
        return counted <= self.calls

    def wait(self) -> float:
        return self.reset

    def tell(self, response) -> None:
        """As draft-ietf-httpapi-ratelimit-headers has it: the limit, what is left, seconds until it begins anew."""
        response["RateLimit-Policy"] = f'"calls";q={self.calls};w={self.seconds}'
        response["RateLimit"] = f'"calls";r={self.left};t={math.ceil(self.reset)}'


def count(key, seconds) -> int:
    """Count one more call. A cache that is away counts nothing: callers are served."""
    try:
        try:
            return cache.incr(key)
        except ValueError:  # the window's first call
            cache.add(key, 0, timeout=2 * seconds)
            return cache.incr(key)
    except (RedisError, ValueError):
        log.warning("The cache does not answer: calls are not counted.")
        return 0
