"""Rate limits: a token bucket per API key or client address."""

import time
from collections import OrderedDict
from dataclasses import dataclass

MAX_BUCKETS = 10_000


@dataclass
class TokenBucket:
    tokens: float
    updated_at: float


class RateLimiter:
    """Token buckets by client; the least recently used ones are dropped beyond MAX_BUCKETS."""

    def __init__(self, requests_per_second: float, burst: float) -> None:
        self._requests_per_second, self._burst = requests_per_second, burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def wait_seconds(self, client: str) -> float:
        """0 where a request of this client may pass, which takes a token; else the seconds until the next token."""
        now = time.monotonic()
        bucket = self._buckets.pop(client, None) or TokenBucket(self._burst, now)
        self._buckets[client] = bucket
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.updated_at) * self._requests_per_second)
        bucket.updated_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._requests_per_second
        bucket.tokens -= 1
        return 0.0
