"""A small cache that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most `capacity` values by key; a value that is dropped is passed to `on_drop`."""

    def __init__(self, capacity: int, on_drop: Callable[[V], None] | None = None) -> None:
        self._capacity = capacity
        self._on_drop = on_drop
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """The cached value of `key`, made by ``make(key)`` when absent."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make(key)
        if len(self._values) > self._capacity:
            _, dropped = self._values.popitem(last=False)
            if self._on_drop is not None:
                self._on_drop(dropped)
        return value

    def clear(self) -> None:
        """Drop all values."""
        while self._values:
            _, dropped = self._values.popitem(last=False)
            if self._on_drop is not None:
                self._on_drop(dropped)
