from pathlib import Path

import pytest
from torch import nn

from datamodules.errors import DataError
from lightning_modules.cli.parser import NearestNameParser, nearest_key
from models.blocks.vit import ViTSize

MODEL = ["--model", "models.vq3d.VQ3D"]


def parser() -> NearestNameParser:
    """A number, a dataclass and a class by its path."""
    made = NearestNameParser(prog="prog")
    made.add_argument("--config", action="config")
    made.add_argument("--learning_rate", type=float, default=0.1)
    made.add_class_arguments(ViTSize, "size")
    made.add_subclass_arguments(nn.Module, "model", required=False)
    return made


def complaint(*args: str) -> str:
    """What the parser says of wrong arguments."""
    with pytest.raises(DataError) as caught:
        parser().parse_args(args)
    return str(caught.value)


@pytest.mark.parametrize("args", [["--lerning_rate", "3"], ["--lerning_rate=3"]])
def test_top_level_key_on_the_command_line(args: list[str]) -> None:
    line = complaint(*args)
    assert "'lerning_rate'" in line
    assert line.endswith("Did you mean 'learning_rate'?")


def test_dataclass_key_on_the_command_line() -> None:
    line = complaint("--size.wdith", "64")
    assert "'size.wdith'" in line
    assert line.endswith("Did you mean 'size.width'?")


def test_class_argument_on_the_command_line() -> None:
    line = complaint(*MODEL, "--model.resolutoin", "64")
    assert "'resolutoin' of models.vq3d.VQ3D" in line
    assert line.endswith("Did you mean 'resolution'?")


def test_dataclass_in_a_class_argument_on_the_command_line() -> None:
    line = complaint(*MODEL, "--model.encoder.widht", "64")
    assert "'encoder.widht' of models.vq3d.VQ3D" in line
    assert line.endswith("Did you mean 'encoder.width'?")


@pytest.mark.parametrize(
    ("content", "given", "meant"),
    [
        ("lerning_rate: 3", "lerning_rate", "learning_rate"),
        ("size: {wdith: 64}", "wdith", "width"),
        (
            "model: {class_path: models.vq3d.VQ3D, init_args: {resolutoin: 64}}",
            "resolutoin",
            "resolution",
        ),
        (
            "model: {class_path: models.vq3d.VQ3D, init_args: {encoder: {widht: 64}}}",
            "widht",
            "width",
        ),
    ],
)
def test_keys_of_a_yaml_file(content: str, given: str, meant: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content + "\n")
    line = complaint("--config", str(path))
    assert given in line
    assert line.endswith(f"{meant}'?")


def test_a_key_like_no_other_gets_no_suggestion() -> None:
    line = complaint("--zzzzzz=1")
    assert "'zzzzzz'" in line
    assert "Did you mean" not in line


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--learning_rate", "fast"], "--learning_rate is 'fast', it must be a number."),
        (["--size", "3"], "--size is '3', it must be settings by name."),
        (["--config", "{size: 3}"], "--size is '3', it must be settings by name."),
        (["--config", "{size: null}"], "--size is 'null', it must be settings by name."),
        ([*MODEL, "--model.encoder", "3"], "--model.encoder is '3', it must be settings by name."),
        (
            ["--config", "{model: {class_path: models.vq3d.VQ3D, init_args: {encoder: [1]}}}"],
            "--model.encoder is '1', it must be settings by name.",
        ),
        (["--model", "3"], "--model is '3', it must be the import path of a class."),
        (["--config", "{model: 3}"], "--model is '3', it must be the import path of a Module."),
        (["--model", "models.no.X"], "which can't be used (module 'models' has no attribute 'no')"),
        (["--config", "{help: 1}"], "unknown key 'help'. See --help."),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_what_it_must_be(
    args: list[str], sentence: str
) -> None:
    said = complaint(*args)
    assert sentence in said
    assert "Did you mean" not in said
    assert not {"Union", "NestedArg", "<class"} & set(said.replace("'", " ").split())


def test_what_is_right_is_parsed() -> None:
    config = parser().parse_args(["--learning_rate", "3", "--size.width", "64", *MODEL])
    assert (config.learning_rate, config.size.width) == (3.0, 64)


@pytest.mark.parametrize(
    ("given", "near"),
    [("size.wdith", "size.width"), ("wdith", "width"), ("depht", "depth"), ("qqqq", None)],
)
def test_whole_keys_are_compared_before_their_last_parts(given: str, near: str | None) -> None:
    assert nearest_key(given, {"size.width", "size.depth", "seed"}) == near
