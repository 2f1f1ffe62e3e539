"""A limit on how many requests of a kind are processed at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from wattcast.serving.problems import Problem


class ConcurrencyLimit:
    """Slots for requests of one kind. Only the event loop takes and releases them, so no lock is needed."""

    def __init__(self, max_requests: int, description: str) -> None:
        self._max_requests, self._description = max_requests, description
        self.active = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot while the context lasts.

        Raises:
            Problem: all slots are taken (429 with Retry-After).
        """
        if self.active >= self._max_requests:
            detail = f"The server is already processing {self._max_requests} {self._description}: try again later."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": "2"})
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
