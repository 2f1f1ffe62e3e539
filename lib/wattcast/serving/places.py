"""How many requests of a kind may be in hand at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from wattcast.serving.problems import Problem


class Places:
    """Places for requests, taken on the loop alone; whoever finds none is told to come back."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as this lasts.

        Raises:
            Problem: all are taken.
        """
        if self.taken >= self._most:
            said = f"{self._most} {self._what} are in hand already: come back."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, said, {"Retry-After": "2"})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
