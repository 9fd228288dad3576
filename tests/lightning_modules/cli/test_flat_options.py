from dataclasses import dataclass, field

import pytest

from lightning_modules.cli.arguments import gather_lists
from lightning_modules.cli.flat_options import call_flat, option_groups
from lightning_modules.cli.verbs import verb_parser


@dataclass(frozen=True)
class Size:
    """How large.

    Args:
        height: in pixels.
        sides: of the rest.
    """

    height: int = 1
    sides: tuple[int, ...] = field(default=())


def draw(name: str, size: Size = Size(), scale: float = 1.0) -> tuple[str, Size, float]:
    """Draw.

    Args:
        name: of it.
        size: of it.
        scale: of it.
    """
    return name, size, scale


def test_fields_of_a_dataclass_are_given_beside_other_arguments() -> None:
    assert option_groups(draw) == {"size": Size}
    assert call_flat(draw, {"name": "a", "height": 3}) == ("a", Size(3), 1.0)
    assert call_flat(draw, {"name": "a", "scale": 2.0}) == ("a", Size(), 2.0)
    with pytest.raises(TypeError, match="width"):
        call_flat(draw, {"name": "a", "width": 3})


def test_they_are_options_of_the_command_line_with_help_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = verb_parser("draw", draw)
    words = gather_lists(draw, ["--name", "a", "--sides", "1,2", "3", "--height", "4"])
    values = vars(parser.parse_args(words))
    values.pop("config")
    assert call_flat(draw, values) == ("a", Size(4, (1, 2, 3)), 1.0)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert "How large:\n" in shown
    assert "in pixels. (type: int, default: 1)" in shown
    with pytest.raises(SystemExit):
        parser.parse_args(["--name", "a", "--heigth", "1"])
    assert "Did you mean 'height'?" in capsys.readouterr().err
