"""What scenes were asked for against what is found of them."""

import math

import pytest
import torch

from datamodules.build.shapeworld.verb import shapeworld
from datamodules.errors import DataError
from datamodules.modalities import TIMES_OF_DAY
from datamodules.remote import read_manifest
from datamodules.rows import SplitRows
from lightning_modules.evaluation.condition_figures import Asked, Brightness
from lightning_modules.evaluation.conditions import (
    condition_figures,
    real_brightness,
    told_and_found,
)
from lightning_modules.evaluation.feature_network import Features
from lightning_modules.evaluation.measures import Measures
from lightning_modules.evaluation.subjects import Seen
from models.scenes import Scenes
from models.spaces import SceneBoxes
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling

DAY, NIGHT = TIMES_OF_DAY.index("day"), TIMES_OF_DAY.index("night")
BOTH = ("size", "time of day")


def measures(told: torch.Tensor, guesses: list[int]) -> Measures:
    count = len(told)
    logits = torch.nn.functional.one_hot(torch.tensor(guesses), 3).float()
    features, nothing = Features(torch.zeros(count, 2), logits), torch.zeros(count, 0)
    labels = torch.arange(count) % 3
    rotations, clouds = torch.zeros(count, 3, 3), torch.zeros(count, 0, 6)
    return Measures(labels, features, Features.none(0), {}, rotations, nothing, clouds, told)


def told_rows(count: int, turned: bool = False) -> torch.Tensor:
    """Sizes that are found as they were asked for, or the other way round; night is dark."""
    rng = torch.Generator().manual_seed(0)
    size = 0.5 + torch.rand(count, 3, generator=rng)
    length, width, height = size.unbind(1)
    extent = torch.stack([length, height, width], 1)
    time = torch.where(torch.arange(count) % 2 == 0, DAY, NIGHT).float()
    light = torch.where(time == DAY, 0.8, 0.1)
    if turned:
        extent, light = 3 - extent, 1 - light
    return torch.cat([size, time[:, None], extent, light[:, None]], 1)


def test_what_is_found_as_asked_is_perfect() -> None:
    bright = Brightness(torch.tensor([2, 1, 0]), 0.5)
    right = condition_figures(measures(told_rows(30), [0, 1, 2] * 10), BOTH, bright)
    assert set(right.values()) == {1.0}
    assert list(right) == [
        "class_called",
        "size_correlation",
        "size_within_class",
        "day_from_night",
    ]
    wrong = condition_figures(measures(told_rows(30, True), [1, 1, 2] * 10), BOTH, bright)
    assert wrong["class_called"] == pytest.approx(2 / 3)
    assert (wrong["size_correlation"], wrong["size_within_class"]) == (-1.0, -1.0)
    assert wrong["day_from_night"] == 0.0
    alone = condition_figures(measures(told_rows(6), [0] * 6), (), None)
    assert list(alone) == ["class_called"]


def dense(planes: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full(points.shape[:2], 1e3), torch.full(points.shape, 0.25)


def test_scenes_are_measured_in_their_boxes() -> None:
    size = torch.tensor([[1.0, 0.5, 0.8], [0.6, 0.6, 0.6]])
    half = torch.stack([size[:, 0], size[:, 2], size[:, 1]], 1) / 2
    camera = orbit_camera(torch.zeros(1), 0.0, 4.0, 30.0)
    planes = torch.zeros(2, 3, 1, 2, 2)
    scenes = Scenes(planes, dense, SceneBoxes(half, 1.0), RaySampling(32, 0, "distance"), camera)
    view = scenes.view(camera, 32, 32)
    asked = Asked(torch.zeros(2, dtype=torch.long), size, torch.tensor([DAY, -1]))
    labels = torch.zeros(2, dtype=torch.long)
    found = told_and_found(Seen(scenes, view, view.rgb, labels, (0, 1), None, None, asked))
    torch.testing.assert_close(found[:, :3], size)
    assert found[0, 3] == DAY
    assert math.isnan(found[1, 3])
    torch.testing.assert_close(found[:, 4:7], 2 * half, atol=0.05, rtol=0)
    torch.testing.assert_close(found[:, 7], torch.full((2,), 0.25), atol=0.02, rtol=0)


def test_real_nights_are_darker(tmp_path) -> None:
    root = str(tmp_path / "shards")
    shapeworld(root, images=60, val_fraction=0.5, resolution=16, workers=1)
    bright = real_brightness(SplitRows(root, read_manifest(root), "train", 16))
    assert bright.ranks[NIGHT] == 0
    assert 0 < bright.threshold < 0.6
    with pytest.raises(DataError, match="No photograph is of"):
        real_brightness(SplitRows(root, read_manifest(root), "train", 16, most=1))
