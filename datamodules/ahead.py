"""Items of an iterator, fetched by a thread one ahead of their use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """Why there are no more items: StopIteration, or what went wrong."""

    reason: BaseException


class Ahead(Iterator[T], Generic[T]):
    """The items of an iterator; while one is in use, a thread fetches the next, and only that.

    An exception of the iterator is raised in place of its item, and ends the items.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._wanted = threading.Semaphore(1)
        self._fetched: SimpleQueue[T | _End] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._fetch, name="ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        """The next item; has the one after it fetched."""
        if self._ended:
            raise StopIteration
        self._wanted.release()
        item = self._fetched.get()
        if isinstance(item, _End):
            self._ended = True
            raise item.reason
        return item

    def close(self, patience: float | None = None) -> None:
        """End the thread when it has fetched the item under way, and wait for that.

        patience: seconds to wait at most.
        """
        self._ended = True
        self._wanted.release()
        self._thread.join(patience)

    def _fetch(self) -> None:
        while self._wanted.acquire() and not self._ended:
            try:
                self._fetched.put(next(self._items))
            except BaseException as reason:
                self._fetched.put(_End(reason))
                return
