from dataclasses import dataclass
from typing import Literal, NamedTuple

import pytest

from models.stored import as_type


class Part(NamedTuple):
    share: float = 1.0


@dataclass(frozen=True)
class Picky:
    size: int

    def __post_init__(self) -> None:
        if self.size > 1:
            raise ValueError(f"size is {self.size}, at most 1.")


@dataclass(frozen=True)
class Whole:
    count: int
    kind: Literal["a", "b"] = "a"
    part: Part | None = None
    range: tuple[float, float] = (0.0, 1.0)
    picky: Picky | None = None


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"count": 3}, Whole(3)),
        ({"count": 3, "part": {"share": 1}}, Whole(3, part=Part(1))),
        ({"count": 3, "part": None, "kind": "b", "range": [1, 2]}, Whole(3, "b", None, (1, 2))),
    ],
)
def test_values_become_what_is_annotated(value: object, made: Whole) -> None:
    assert as_type(value, Whole, "whole") == made


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "whole is 3, not a mapping"),
        ("/etc/hostname", "whole is '/etc/hostname', not a mapping"),
        ({}, "whole lacks count"),
        ({"count": True}, "whole.count is True, not int"),
        ({"count": 1.0}, "whole.count is 1.0, not int"),
        ({"count": 1, "other": 2}, "whole has 'other', which is none of count, kind"),
        ({"count": 1, 5: 2}, "whole has 5, which is none of"),
        ({"count": 1, "kind": "c"}, "whole.kind is 'c', not one of a, b"),
        ({"count": 1, "kind": ["a"]}, "whole.kind is a list, not"),
        ({"count": 1, "part": {"share": "x"}}, "whole.part.share is 'x', not float"),
        ({"count": 1, "range": [1]}, "whole.range has 1 values, not 2"),
        ({"count": 1, "range": "ab"}, "whole.range is 'ab', not a list"),
        ({"count": 1, "picky": {"size": 2}}, "whole.picky: size is 2, at most 1"),
        ({"count": "x" * 1000}, r"whole.count is 'x+\.\.\., not int"),
    ],
)
def test_what_does_not_fit_is_told_by_name(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        as_type(value, Whole, "whole")
