"""Bytes and JSON values as no program writes them, the same ones for a seed."""

import random
from collections.abc import Iterator
from typing import Any

SCALARS = (
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -1.5, 1e308),
    *(float("inf"), float("-inf"), float("nan"), "", "a", "..", "/", "a/b", "a\0b", "ä", "\ud800"),
    *("$(id)", "x" * 300, "1", "rgb", "train", "0" * 64),
)


def mutations(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Content with bytes changed, lost, added, moved or cut off."""
    rng = random.Random(seed)
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(changed) + 1)
            match rng.randrange(6):
                case 0:
                    changed[place : place + 1] = bytes([rng.choice((0, 32, 45, 57, 128, 255))])
                case 1:
                    changed[place : place + 1] = rng.randbytes(1)
                case 2:
                    del changed[place : place + rng.randint(1, 40)]
                case 3:
                    changed[place:place] = rng.randbytes(rng.randint(1, 40))
                case 4:
                    start = rng.randrange(len(changed) + 1)
                    changed[place : place + 30] = changed[start : start + 30]
                case _:
                    changed = changed[: max(place, 1)]
        yield bytes(changed)


def values(count: int, seed: int = 0) -> Iterator[Any]:
    """Any JSON values, nested a little."""
    rng = random.Random(seed)
    for _ in range(count):
        yield _value(rng, 3)


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(6) if depth else 0
    if kind == 1:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 2:
        return {str(rng.choice(SCALARS))[:9]: _value(rng, depth - 1) for _ in range(3)}
    return rng.choice(SCALARS)


def replaced(tree: Any, count: int, seed: int = 0) -> Iterator[Any]:
    """A JSON tree with one of its parts replaced by any value, or left out."""
    rng = random.Random(seed)
    others = values(count, seed)
    for other in others:
        yield _replaced(tree, other, rng)


def _replaced(tree: Any, other: Any, rng: random.Random) -> Any:
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return other
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    chosen = rng.choice(keys)
    copy = tree.copy()
    if rng.random() < 0.1:
        del copy[chosen]
    else:
        copy[chosen] = _replaced(tree[chosen], other, rng)
    return copy
