"""A setting that a constructor refuses is told with the place it has in YAML."""

from pathlib import Path

import pytest

from lightning_modules.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("config", "option", "value", "sentence"),
    [
        ("vq3d/stage1_shapeworld", "model.optimizer.lr", "-1", "is -1.0, it must be from 0 to 10."),
        (
            "vq3d/stage1_shapeworld",
            "model.optimizer.lr",
            ".nan",
            "is nan, it must be from 0 to 10.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.discriminator_optimizer.lr",
            "11",
            "is 11.0, it must be from 0 to 10.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.optimizer.betas",
            "[0.9, 1]",
            "is [0.9, 1.0], it must be two numbers of at least 0 and below 1.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.weights.depth",
            "[[5, 1], [0, 1]]",
            "is [[5, 1.0], [0, 1.0]], it must be in increasing order of images.",
        ),
        ("vq3d/stage1_shapeworld", "model.seed", str(2**40), "must be from 0 to 4,294,967,295."),
        (
            "vq3d/stage1_shapeworld",
            "model.autoencoder.resolution",
            "1000000",
            "is 1000000, it must be from 1 to 8,192.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.autoencoder.decoder.heads",
            "0",
            "is 0, it must be from 1 to 16,384.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.autoencoder.codebook.codes",
            "0",
            "is 0, it must be from 1 to 16,777,216.",
        ),
        (
            "vq3d/stage1_shapeworld",
            "model.autoencoder.space.far",
            "0.5",
            "model.autoencoder.space.near is 1.0, it must be below far, 0.5.",
        ),
        ("vq3d/stage2_shapeworld", "model.prior.dropout", "1.5", "is 1.5, it must be from 0 to 1."),
        ("wildgan/shapeworld", "model.generator.view_cells.yaws", "0", "is 0, it must be from 1"),
        ("wildgan/shapeworld", "model.shown.augment.images", "0", "is 0, it must be from 1 to"),
        ("classifier/shapeworld", "model.jitter.shift", "1", "is 1.0, it must be at least 0 and"),
        ("classifier/shapeworld", "sheets.every_images", "0", "is 0, it must be from 1 to"),
        ("classifier/shapeworld", "last_checkpoint.minutes", "-1", "is -1.0, it must be from 0 to"),
    ],
)
def test_the_command_says_where_the_setting_stands(
    config: str,
    option: str,
    value: str,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = ROOT / "configs" / f"{config}.yaml"
    words = ["fit", "--config", str(file), "--run", str(tmp_path / "run"), f"--{option}", value]
    assert main(words) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"wild3d fit: {option.rpartition('.')[0]}.")
    assert sentence in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, b"", b"\x80\x02]q\x00(K"])
def test_weights_of_another_library_are_named_with_their_knob(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "vgg.pth"
    if content is not None:
        path.write_bytes(content)
    config = ROOT / "configs" / "vq3d" / "stage1_shapeworld.yaml"
    named = ["--model.perceptual_weights", str(path), "--model.weights.perceptual", "1"]
    named += ["--model.rays.patch", "16"]
    run = tmp_path / "run"
    assert main(["fit", "--config", str(config), "--run", str(run), *named]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert str(path) in said
    assert "`perceptual_weights`" in said
    assert "Union" not in said
    assert not run.exists()
