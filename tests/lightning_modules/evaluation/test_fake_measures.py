from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from tiny_classes import SIDE

from datamodules.errors import DataError
from lightning_modules.evaluation.fake_measures import measure_fakes
from lightning_modules.evaluation.fakes import FakeImages
from lightning_modules.evaluation.image_source import DrawnImages, Geometry
from lightning_modules.evaluation.networks import open_network


@dataclass
class Ramps:
    """Draws even images as bright as their seed, at one depth or at two."""

    solid: bool = True
    empty: bool = False
    calls: list[tuple[list[int], list[int]]] = field(default_factory=list)
    name: str = "ramps.ckpt"
    classes: int = 3
    resolution: int = SIDE
    cameras: str = "one"

    def draw(self, labels: Sequence[int], seeds: Sequence[int]) -> DrawnImages:
        self.calls.append((list(labels), list(seeds)))
        level = torch.tensor(seeds)[:, None, None, None] / 10
        rgb = level.expand(-1, 3, SIDE, SIDE)
        if not self.solid:
            return DrawnImages(rgb)
        depth = torch.ones(len(seeds), SIDE, SIDE)
        depth[torch.tensor(seeds) % 2 == 1, :8] = 2.0
        opacity = torch.zeros_like(depth) if self.empty else None
        low, high = torch.tensor([[0.5], [2.5]]).expand(2, len(seeds))
        return DrawnImages(rgb, Geometry(depth, low, high, "depth", opacity))


def test_every_label_is_drawn_once_with_its_seed(classifier: str) -> None:
    source, network = Ramps(), open_network(classifier)
    found = measure_fakes(FakeImages(source, [2, 0, 1, 0, 0], 2), network, flatness=False)
    assert source.calls == [([2, 0], [0, 1]), ([1, 0], [2, 3]), ([0], [4])]
    every = source.draw([0] * 5, range(5)).rgb
    torch.testing.assert_close(found.features.vectors, network(every).vectors)
    assert found.flatness is None


def test_flatness_is_the_mean_over_images(classifier: str) -> None:
    fakes = FakeImages(Ramps(), [0] * 5, 2)
    found = measure_fakes(fakes, open_network(classifier), flatness=True).flatness
    assert found is not None
    assert found.scores.tolist() == pytest.approx([1, 2, 1, 2, 1])
    assert (found.mean, found.quantity) == (pytest.approx(1.4), "depth")


def test_flatness_of_what_has_none_is_refused(classifier: str) -> None:
    network = open_network(classifier)
    with pytest.raises(DataError, match=r"ramps\.ckpt draws no depth: leave nfs out"):
        measure_fakes(FakeImages(Ramps(solid=False), [0], 1), network, flatness=True)
    found = measure_fakes(FakeImages(Ramps(empty=True), [0], 1), network, flatness=True)
    assert found.flatness is not None
    with pytest.raises(DataError, match="No image shows anything"):
        _ = found.flatness.mean


@pytest.mark.parametrize(("labels", "batch_size"), [([], 1), ([0], 0)])
def test_numbers_below_one_are_refused(labels: list[int], batch_size: int) -> None:
    with pytest.raises(DataError, match="both must be at least 1"):
        FakeImages(Ramps(), labels, batch_size)
