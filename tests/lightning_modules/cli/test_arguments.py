import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tiny_gan_run import GANRuns

from datamodules.errors import DataError
from lightning_modules.cli.arguments import (
    call_flat,
    gather_lists,
    nulls_as_overlays,
    option_groups,
    restored,
    stand_ins,
)
from lightning_modules.cli.verbs import VERBS, verb_parser


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
    with pytest.raises(DataError, match="Did you mean 'height'"):
        parser.parse_args(["--name", "a", "--heigth", "1"])


@pytest.mark.parametrize("null", [["--model.score.features", "null"], ["--model.score.features=~"]])
def test_null_of_a_class_within_a_class_becomes_an_overlay_in_its_place(null: list[str]) -> None:
    given = ["fit", "--config", "a.yaml", *null, "--data.root=x", "--model.seed", "3"]
    *before, option, overlay, root, seed, number = nulls_as_overlays(given)
    assert before == given[:3]
    assert option == "--config"
    assert json.loads(overlay) == {"model": {"score": {"features": None}}}
    assert [root, seed, number] == given[-3:]


@pytest.mark.parametrize("words", [["--model.a.b"], ["--model.a.b", "--data.root", "x"]])
def test_an_option_without_a_value_is_named_in_full(words: list[str]) -> None:
    with pytest.raises(DataError, match=r"^--model\.a\.b is given without a value\.$"):
        nulls_as_overlays(["fit", *words])


def test_help_of_a_class_does_not_hide_the_null_after_it() -> None:
    changed = nulls_as_overlays(["--model.help", "--data.root", "null"])
    assert changed == ["--model.help", "--config", '{"data": {"root": null}}']


@pytest.mark.parametrize(
    "given",
    [
        ["fit", "--trainer.logger", "null", "--run", "null"],
        ["--model.name", "nullable", "--model.sign", "-1", "--data.root="],
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


ODD = (
    *("[Group] pic.jpg", "{x}", "null", "~", "1e3", "a,b.jpg", "1", "007", "true", "a: b", "- x"),
    *("#1.jpg", "*a", "&a", "!t", "'q'", '"q"', "%x", "@f", "`z`", "a\nb", " first", "[x", "x]"),
    *(
        "{",
        "a=b",
        "=",
        "2020-01-01",
        "[1]",
        '{"a": 1}',
        "nan",
        ".5",
        "-1",
        "caf\udce9.jpg",
        "text-0",
    ),
)


@pytest.mark.parametrize("name", ["images", "classes", "tokens", "out", "runs", "label", "source"])
@pytest.mark.parametrize("word", ODD)
def test_names_are_taken_as_they_are_typed(name: str, word: str) -> None:
    verbs = {"runs": "compare", "label": "edit", "source": "shards", "classes": "sample"}
    function = VERBS[verbs.get(name, "mesh")].load()
    required = [
        option
        for option, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and option != name
    ]
    base = [part for option in required for part in (f"--{option}", "0,0,1,1")]
    words, texts = stand_ins(function, gather_lists(function, [*base, f"--{name}={word}"]))
    values = verb_parser("verb", function).parse_args(words)
    found = restored(values[name], texts)
    assert found in (word, [word], (word,))


def test_several_odd_names_stay_several() -> None:
    function = VERBS["reconstruct"].load()
    typed = ["--checkpoint", "a", "--images", "[Group] pic.jpg", "b.jpg", "{c}", "--size", "8"]
    words, texts = stand_ins(function, gather_lists(function, typed))
    values = verb_parser("verb", function).parse_args(words)
    assert restored(values.images, texts) == ["[Group] pic.jpg", "b.jpg", "{c}"]
    assert (restored(values.checkpoint, texts), values.size) == ("a", 8)


@pytest.mark.parametrize("typed", [["--names", '["a",', '"b c"]'], ["--names", '["a", "b c"]']])
def test_a_list_as_json_stays_a_list(typed: list[str]) -> None:
    words, texts = stand_ins(verb, gather_lists(verb, typed))
    assert [texts[word] for word in json.loads(words[1])] == ["a", "b c"]


def test_limits_are_held_wherever_a_verb_is_called_from() -> None:
    function = VERBS["sample"].load()
    with pytest.raises(DataError, match="--size is 0, it must be from 1 to 4,096"):
        call_flat(function, {"checkpoint": "a", "size": 0})
    with pytest.raises(DataError, match="--top_p is nan"):
        call_flat(function, {"checkpoint": "a", "top_p": float("nan")})
