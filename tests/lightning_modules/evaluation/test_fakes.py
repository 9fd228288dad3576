from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from tiny_classes import SIDE
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.fakes import draw_fakes, measure_fakes
from lightning_modules.evaluation.networks import open_network
from models.scenes import Scenes
from models.spaces import BoxSpace
from renderers.cameras import Camera, orbit_camera
from renderers.ray_sampling import RaySampling


def ramp(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """As bright everywhere as planes are, and dense as far as they say."""
    level, dense = planes[:, 0, 0, 0, 0], planes[:, 1, 0, 0, 0]
    features = level[:, None, None].expand(*points.shape)
    return (dense[:, None] * points[..., 2].lt(0)).float(), features


@dataclass
class Ramps:
    """Draws even scenes as bright as their seed, solid, or empty."""

    empty: bool = False
    calls: list[tuple[list[int], list[int]]] = field(default_factory=list)
    resolution: int = SIDE

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        self.calls.append((list(labels), list(seeds)))
        planes = torch.zeros(len(seeds), 3, 1, 2, 2)
        planes[:, 0] = torch.tensor(seeds)[:, None, None, None] / 10
        planes[:, 1] = 0.0 if self.empty else 1e4
        camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 10.0)
        space = BoxSpace(0.5, None if not self.empty else 1.0)
        return Scenes(planes, ramp, space, RaySampling(8, 0), camera)

    def cameras(self, scenes: Scenes, labels: Sequence[int], seeds: Sequence[int]) -> Camera:
        return scenes.canonical


def test_every_label_is_drawn_once_with_its_seed(classifier: str) -> None:
    drawer, network = Ramps(), open_network(classifier)
    found = measure_fakes(drawer, [2, 0, 1, 0, 0], 2, network)
    assert drawer.calls == [([2, 0], [0, 1]), ([1, 0], [2, 3]), ([0], [4])]
    every = draw_fakes(drawer, [0] * 5, range(5)).images
    torch.testing.assert_close(every.mean((1, 2, 3)), torch.arange(5) / 10)
    torch.testing.assert_close(found.features.vectors, network(every).vectors)
    assert found.geometry == {}


def test_flatness_is_the_mean_over_images_that_show_anything(classifier: str) -> None:
    network = open_network(classifier)
    found = measure_fakes(Ramps(), [0] * 5, 2, network, ("nfs",))
    assert found.geometry["nfs"] is not None
    assert len(found.geometry["nfs"]) == 5
    assert found.score("nfs") == pytest.approx(float(found.geometry["nfs"].mean()))
    assert 1 <= found.score("nfs") < 2  # a wall
    nothing = measure_fakes(Ramps(empty=True), [0] * 2, 1, network, ("mask_fou", "mesh_fou"))
    assert nothing.left_out() == {
        "mask_fou": "2 scenes without a solid pixel",
        "mesh_fou": "2 scenes without a surface",
    }
    empty = measure_fakes(Ramps(empty=True), [0], 1, network, ("nfs",))
    assert found.left_out() == {}
    assert empty.left_out() == {"nfs": "1 scene without anything to see"}
    with pytest.raises(DataError, match="No image shows anything: leave nfs out of --metrics"):
        empty.score("nfs")


@pytest.mark.parametrize(("labels", "batch_size"), [([], 1), ([0], 0)])
def test_numbers_below_one_are_refused(labels: list[int], batch_size: int, classifier: str) -> None:
    with pytest.raises(DataError, match="both must be at least 1"):
        measure_fakes(Ramps(), labels, batch_size, open_network(classifier))
