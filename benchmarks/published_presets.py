"""Presets of published sizes, and the command that takes one through a few steps here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.published_data import Images, Networks
from lightning_modules.cli.hardware import suited_precision
from lightning_modules.cli.main import main as wild3d

STEPS, BEFORE = 8, 3
"""Steps of a run, and how many of them before it is interrupted."""

WAITS = ("warmup", "train_from", "from_images")
"""Settings that are images seen before something is as it will be; the last is null for never by
count, but perhaps on collapse."""

IMAGENET = Images(resolution=256, classes=1000)
WAYMO = Images(resolution=256, classes=2, waymo=True)


@dataclass(frozen=True)
class Preset:
    """A preset that is trained for a few steps.

    name: in tables and on the command line; configs: laid over each other; images: that it is
    trained on, a stage 2 on their tokens; loss: curve that must fall; batch: images of a step, one
    or both; stage1: name of the preset whose tokens a stage 2 learns; visible: least visible share
    of the objects whose tokens it learns; options: further settings.
    """

    name: str
    configs: tuple[str, ...]
    images: Images
    loss: str
    batch: int = 1
    stage1: str = ""
    visible: float = 0.0
    options: tuple[str, ...] = ()

    @property
    def interrupted_at(self) -> int:
        """Images seen when the run is interrupted."""
        return BEFORE * self.batch

    @property
    def length(self) -> int:
        """Images of the whole run."""
        return STEPS * self.batch


def _gan(name: str, *configs: str, classes: int) -> Preset:
    paths = tuple(f"configs/wildgan/{config}.yaml" for config in configs)
    images = Images(resolution=128, classes=classes)
    slow = ("--model.optimizer.lr", "2.5e-4")  # or it keeps pace with the discriminator
    return Preset(name, paths, images, "discriminator/loss", batch=2, options=slow)


PRESETS = (
    Preset("vq3d-stage1", ("configs/vq3d/stage1_imagenet.yaml",), IMAGENET, "loss/l2"),
    Preset(
        "vq3d-stage2",
        ("configs/vq3d/stage2_imagenet.yaml",),
        IMAGENET,
        "loss/total",
        stage1="vq3d-stage1",
    ),
    Preset("gina3d-stage1", ("configs/gina3d/stage1_waymo.yaml",), WAYMO, "loss/total"),
    Preset(
        "gina3d-stage2",
        ("configs/gina3d/stage2_waymo.yaml",),
        WAYMO,
        "loss/total",
        stage1="gina3d-stage1",
        visible=0.5,  # the posts in the crops hide more than 0.75 would allow
    ),
    _gan("wildgan-imagenet100", "imagenet100", classes=100),
    _gan("wildgan-shapenet55", "shapenet55", classes=55),
    _gan("eg3d-imagenet100", "imagenet100", "ladder/baseline", classes=100),
)


def settings_of(configs: tuple[str, ...]) -> dict[str, Any]:
    """All settings of configurations laid over each other, defaults included."""
    printed = io.StringIO()
    words = [word for config in configs for word in ("--config", config)]
    with redirect_stdout(printed), suppress(SystemExit):
        wild3d(["fit", *words, "--print_config"])
    return dict(yaml.safe_load(printed.getvalue()))


def turned_on(settings: Mapping[str, Any], name: str = "model") -> list[str]:
    """Options with which all terms count from the first step on: schedules that begin at 0 are at
    their end, nothing warms up or waits, and several views of a scene are judged where they ever
    would be.

    settings: of the model; name: of their group.
    """
    words: list[str] = []
    for key, value in settings.items():
        option = name if key == "init_args" else f"{name}.{key}"
        if isinstance(value, Mapping):
            words += turned_on(value, option)
        elif key in WAITS and (value or (value is None and settings["on_collapse"])):
            words += [f"--{option}", "0"]
        elif _is_schedule(value) and value[0][1] == 0:
            words += [f"--{option}", str(value[-1][1])]
    return words


def _is_schedule(value: object) -> bool:
    knots = value if isinstance(value, list) else []
    return bool(knots) and all(isinstance(knot, list) and len(knot) == 2 for knot in knots)


def fit_words(preset: Preset, work: Path, networks: Networks) -> list[str]:
    """The words after `wild3d` that train a preset, or continue its training.

    work: folder of data and runs.
    """
    words = [word for config in preset.configs for word in ("--config", config)]
    settings = settings_of(preset.configs)
    words += turned_on(settings["model"]["init_args"])
    # Where a processor is timed to see which is faster, both launches are to do the same.
    precision, _ = suited_precision(settings["trainer"]["precision"], "cpu")
    options: dict[str, object] = {
        "run": work / preset.name,
        "trainer.precision": precision,
        "trainer.accelerator": "cpu",
        "trainer.devices": 1,
        "trainer.strategy": "auto",
        "model.max_images": preset.length,
        "data.batch_size": preset.batch,
        "data.num_workers": 1,
        "data.flip": "false",
        "data.root": work / preset.images.name if not preset.stage1 else tokens_of(preset, work),
        "last_checkpoint.minutes": 1000,
        "scalars.every_images": preset.batch,
        "sheets.images": 1,
    }
    if preset.stage1:
        options["model.stage1"] = checkpoint_of(preset.stage1, work)
    elif preset.loss.startswith("discriminator"):
        options["model.score.features"] = networks.kid_name
        options["model.score.features_weights"] = networks.kid
        options["model.score.images"] = 4
    else:
        options["model.perceptual_weights"] = networks.vgg16
    log = [
        "--trainer.callbacks+=benchmarks.published_steps.StepLog",
        f"--trainer.callbacks.path={steps_of(preset, work)}",
        f"--trainer.callbacks.interrupt_at={preset.interrupted_at}",
    ]
    return ["fit", *words, *_as_options(options), *preset.options, *log]


def token_words(preset: Preset, work: Path) -> list[str]:
    """The words after `wild3d` that make the tokens a stage 2 learns."""
    options: dict[str, object] = {
        "checkpoint": checkpoint_of(preset.stage1, work),
        "root": work / preset.images.name,
        "out": tokens_of(preset, work),
        "min_visible": preset.visible,
    }
    return ["tokens", *_as_options(options)]


def _as_options(values: Mapping[str, object]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def checkpoint_of(name: str, work: Path) -> Path:
    """The checkpoint of a finished run that others go on with."""
    return work / name / "checkpoints" / "best.ckpt"


def tokens_of(preset: Preset, work: Path) -> Path:
    """Where the tokens lie that a stage 2 learns."""
    return work / f"{preset.name}-tokens"


def steps_of(preset: Preset, work: Path) -> Path:
    """Where the steps of a run are noted."""
    return work / f"{preset.name}.steps.jsonl"
