from pathlib import Path

import pytest
from torch import nn

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


def complaint(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line that the parser prints before it ends with code 2."""
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(args)
    assert caught.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("args", [["--lerning_rate", "3"], ["--lerning_rate=3"]])
def test_top_level_key_on_the_command_line(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = complaint(args, capsys)
    assert "'lerning_rate'" in line
    assert line.endswith("Did you mean 'learning_rate'?")


def test_dataclass_key_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(["--size.wdith", "64"], capsys)
    assert "'size.wdith'" in line
    assert line.endswith("Did you mean 'size.width'?")


def test_class_argument_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint([*MODEL, "--model.resolutoin", "64"], capsys)
    assert "'resolutoin' of models.vq3d.VQ3D" in line
    assert line.endswith("Did you mean 'resolution'?")


def test_dataclass_in_a_class_argument_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = complaint([*MODEL, "--model.encoder.widht", "64"], capsys)
    assert "widht" in line
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
def test_keys_of_a_yaml_file(
    content: str, given: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content + "\n")
    line = complaint(["--config", str(path)], capsys)
    assert given in line
    assert line.endswith(f"{meant}'?")


def test_a_key_like_no_other_gets_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(["--zzzzzz=1"], capsys)
    assert "'zzzzzz'" in line
    assert "Did you mean" not in line


def test_other_complaints_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--learning_rate", "fast"])
    said = capsys.readouterr().err
    assert "learning_rate" in said
    assert "fast" in said
    assert "Did you mean" not in said


def test_what_is_right_is_parsed() -> None:
    config = parser().parse_args(["--learning_rate", "3", "--size.width", "64", *MODEL])
    assert (config.learning_rate, config.size.width) == (3.0, 64)


@pytest.mark.parametrize(
    ("given", "near"),
    [("size.wdith", "size.width"), ("wdith", "width"), ("depht", "depth"), ("qqqq", None)],
)
def test_whole_keys_are_compared_before_their_last_parts(given: str, near: str | None) -> None:
    assert nearest_key(given, {"size.width", "size.depth", "seed"}) == near
