"""The rate limit of a credential, and its headers."""

import math
import time
from contextlib import suppress

from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle

from mailboxes.db.cache import pause_if_down


class LocalCounts(LocMemCache):
    """A cache for the counts of one process, used without CACHE_URL."""

    def make_and_validate_key(self, key, version=None):
        return key  # faster, and our keys are valid


class CredentialThrottle(BaseThrottle):
    """Allow each credential the number of calls in a time window that RATE_LIMIT sets.

    Every call with a valid credential counts, also if it is refused. With CACHE_URL all processes
    count together; without it each worker has its share.
    """

    def allow_request(self, request, view) -> bool:
        self.calls, self.seconds = settings.RATE_LIMIT
        window, elapsed = divmod(time.time(), self.seconds)
        self.reset = self.seconds - elapsed
        # Counted apart, so that others cannot use up a credential's calls with its stolen secret.
        kind = "calls" if request.auth.allows(request.META["REMOTE_ADDR"]) else "outside"
        calls = count_call(f"{kind}:{request.auth.pk}:{window:.0f}", self.seconds)
        self.remaining = max(self.calls - calls, 0)
        request.throttle = self
        return calls <= self.calls

    def wait(self) -> float:
        return self.reset

    def add_headers(self, response) -> None:
        """Add the RateLimit headers (draft-ietf-httpapi-ratelimit-headers)."""
        response["RateLimit-Policy"] = f'"calls";q={self.calls};w={self.seconds}'
        response["RateLimit"] = f'"calls";r={self.remaining};t={math.ceil(self.reset)}'


def count_call(key, seconds) -> int:
    """Count this call. Return the number in this window, or 0 (serve it) if the cache is down."""
    with suppress(RedisError, ValueError), pause_if_down():
        try:
            return cache.incr(key)
        except ValueError:  # the window's first call
            cache.add(key, 0, timeout=2 * seconds)
            return cache.incr(key)
    return 0
