import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tiny_gan_run import GANRuns

from lightning_modules.cli.arguments import (
    call_flat,
    gather_lists,
    nulls_as_overlays,
    option_groups,
)
from lightning_modules.cli.verbs import verb_parser


def verb(
    names: list[str] | str,
    seeds: tuple[int, ...] = (0,),
    region: tuple[float, float] | None = None,
    out: str = "",
    views: int = 1,
) -> None: ...


@pytest.mark.parametrize(
    ("typed", "gathered"),
    [
        ("--seeds 0,1,2 --views 3", "--seeds [0,1,2] --views 3"),
        ("--seeds 0 1 2", "--seeds [0,1,2]"),
        ("--seeds=0,1", "--seeds [0,1]"),
        ("--seeds 0, 1, 2", "--seeds [0,1,2]"),
        ("--seeds [0,1]", "--seeds [0,1]"),
        ("--region -1,-.5 --out x", "--region [-1,-.5] --out x"),
        ("--names a,b.jpg --views 2", '--names ["a,b.jpg"] --views 2'),
        ("--out a --views=2", "--out a --views=2"),
        ("--names -h", "--names -h"),
        ("--names+ a", "--names+ a"),
        ("--seeds --out x", "--seeds --out x"),
    ],
)
def test_words_after_a_list_option_become_one_list(typed: str, gathered: str) -> None:
    assert gather_lists(verb, typed.split()) == gathered.split()


def test_strings_may_contain_spaces_and_numbers_stay_strings() -> None:
    found = gather_lists(verb, ["--names", "a b", "3"])
    assert found == ["--names", '["a b", "3"]']
    assert gather_lists(verb, ["--names", "[a.jpg,", "b.jpg]"]) == [
        "--names",
        '["[a.jpg,", "b.jpg]"]',
    ]
    assert gather_lists(verb, ["--names", '["a",', '"b"]']) == ["--names", '["a", "b"]']


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


@pytest.mark.parametrize("null", [["--model.score.features", "null"], ["--model.score.features=~"]])
def test_null_of_a_class_within_a_class_becomes_an_overlay_in_its_place(null: list[str]) -> None:
    given = ["fit", "--config", "a.yaml", *null, "--data.root=x", "--model.seed", "3"]
    *before, option, overlay, root, seed, number = nulls_as_overlays(given)
    assert before == given[:3]
    assert option == "--config"
    assert json.loads(overlay) == {"model": {"score": {"features": None}}}
    assert [root, seed, number] == given[-3:]


def test_an_option_without_a_value_does_not_hide_the_null_after_it() -> None:
    changed = nulls_as_overlays(["--model.help", "--data.root", "null"])
    assert changed == ["--model.help", "--config", '{"data": {"root": null}}']


@pytest.mark.parametrize(
    "given",
    [
        ["fit", "--trainer.logger", "null", "--run", "null"],
        ["--model.name", "nullable", "--model.sign", "-1", "--data.root="],
        ["--model.seed"],
        ["--data.root", "", "--model.name", "x"],
        [],
    ],
)
def test_everything_else_stays(given: list[str]) -> None:
    assert nulls_as_overlays(given) == given


def test_options_of_a_run_may_be_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = ["--model.score.features", "null", "--model.shown.augment.target=null"]
    off += ["--model.generator.box.background", "null", "--model.score.images", "12"]
    with pytest.raises(SystemExit) as ended:
        GANRuns.write(tmp_path, tmp_path).fit(tmp_path / "run", *off, "--print_config")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for line in ("features: null", "target: null", "background: null", "images: 12", "half: 0.5"):
        assert f"  {line}\n" in printed
    assert "- cutout" in printed
