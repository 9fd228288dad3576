from dataclasses import dataclass
from typing import Annotated

import pytest

from datamodules.errors import DataError
from datamodules.manifest import MAX_SHARD_SAMPLES
from datamodules.ranges import Fraction, Range, ShardSize, check_limits

Size = Annotated[int, Range(1, 8)]


@dataclass(frozen=True)
class More:
    """Of a function's options."""

    sizes: tuple[Size, ...] = (1,)
    share: Fraction | None = None


def draw(size: Size = 1, more: More = More(), name: str = "") -> None: ...


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": 0}, "--size is 0, it must be from 1 to 8"),
        ({"size": 9}, "--size is 9"),
        ({"size": True}, "--size is True"),
        ({"sizes": (3, 9)}, "--sizes is 9"),
        ({"share": float("nan")}, "--share is nan"),
        ({"share": 1.5}, "--share is 1.5"),
        ({"size": None}, "--size is null: give a value, or leave it out"),
        ({"sizes": None}, "--sizes is null"),
        ({"name": None}, "--name is null"),
        ({"name": ""}, "--name is empty: give a value, or leave it out"),
    ],
)
def test_values_beyond_the_limit_in_their_annotation_are_refused(
    values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        check_limits(draw, values)


def test_values_within_and_such_as_are_not_given_pass() -> None:
    check_limits(draw, {"size": 8, "sizes": (), "share": None, "name": "9"})


def test_a_prefix_says_where_the_value_was_written() -> None:
    with pytest.raises(DataError, match=r"^assets\.a\.size is 9, it must be"):
        check_limits(draw, {"size": 9}, "assets.a.")


def test_help_shows_a_range_in_words() -> None:
    assert repr(Range(1, 8192)) == "from 1 to 8,192"
    assert repr(Range(0)) == "from 0"


def test_no_shard_is_written_that_a_manifest_could_not_list() -> None:
    def write(samples_per_shard: ShardSize = 1000) -> None: ...

    check_limits(write, {"samples_per_shard": MAX_SHARD_SAMPLES})
    with pytest.raises(DataError, match="it must be from 1 to 1,048,576"):
        check_limits(write, {"samples_per_shard": MAX_SHARD_SAMPLES + 1})
