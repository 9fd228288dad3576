"""Figures of scenes, photographs and depth with known answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import DISPARITY_MAX, MASK_BACKGROUND, MASK_OBJECT
from datamodules.schema import Batch
from lightning_modules.evaluation import instruments
from lightning_modules.evaluation.instruments import (
    Instruments,
    depth_figures,
    seen_disparity,
    stored_disparity,
)
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.subjects import Seen, Subjects
from lightning_modules.inference.computing import drawing
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from models.spaces import BoxSpace, ContractedSpace, Space
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling

SIDE = 16


def plates(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Dense behind a slanted plane through the middle, striped along x."""
    dense = 1e4 * (points[..., 2] + 0.3 * points[..., 0] < 0).float() * planes[:, 0, 0, 0, 0, None]
    stripe = 0.5 + 0.4 * (6 * points[..., :1]).sin()
    return dense, stripe.expand(points.shape)


def scenes(count: int, space: Space) -> Scenes:
    camera = orbit_camera(torch.zeros(1), 0.0, 3.0, 20.0)
    planes = torch.ones(count, 3, 1, 2, 2)
    return Scenes(planes, plates, space, RaySampling(48, 32, "distance"), camera)


@dataclass(frozen=True)
class Plates(Subjects):
    """Plates before a camera; photographs differ from them by a known grey."""

    error: float | None = None
    space: Space = BoxSpace(1.0, 1.0)

    @property
    def canonical(self) -> CanonicalView:
        return CanonicalView(3.0, 20.0)

    def __len__(self) -> int:
        return 3

    def seen(self, rows: range) -> Seen:
        found = scenes(len(rows), self.space)
        view = found.view(found.canonical, SIDE, SIDE)
        labels, seeds = torch.zeros(len(rows), dtype=torch.long), tuple(rows)
        photographs = None
        if self.error is not None:
            image = ((view.rgb + self.error).clamp(0, 1) * 255).round().to(torch.uint8)
            depth = (view.disparity / view.disparity.max() * DISPARITY_MAX).int().to(torch.uint16)
            mask = torch.full((len(rows), SIDE, SIDE), MASK_OBJECT, dtype=torch.uint8)
            mask[:, :, : SIDE // 2] = MASK_BACKGROUND
            keys = tuple(str(row) for row in rows)
            photographs = Batch(keys, image, labels, depth=depth, mask=mask)
        rotation = found.canonical.cam2world[:, :3, :3].expand(len(rows), 3, 3)
        return Seen(found, view, view.rgb, labels, seeds, rotation, photographs)


def test_photographs_are_compared_in_closed_form() -> None:
    settings = MetricSettings(("psnr", "silhouette", "ssim"))
    figures = Instruments(settings).measure(Plates(0.1), range(3)).figures
    assert figures["psnr"].tolist() == pytest.approx([20.0] * 3, abs=0.2)  # 10 log10(1 / 0.01)
    assert figures["object_psnr"].tolist() == pytest.approx([20.0] * 3, abs=0.2)
    assert figures["silhouette_iou"].tolist() == pytest.approx([0.5] * 3)  # all solid, half masked
    same = Instruments(settings).measure(Plates(0.0), range(2)).figures
    assert same["psnr"].min() > 45  # rounded to bytes
    assert same["ssim"].min() > 0.99 > figures["ssim"].max()


def test_scenes_are_measured_by_themselves() -> None:
    settings = MetricSettings(("nfs", "consistency", "mask_fou", "mesh_fou"), fou_resolution=16)
    measured = Instruments(settings).measure(Plates(), range(1, 3))
    figures = measured.figures
    assert ((figures["nfs"] > 4) & (figures["nfs"] < 13)).all()  # a slanted wall fills a part
    assert figures["mask_fou"].tolist() == figures["mesh_fou"].tolist() == [0.0, 0.0]
    assert (figures["reprojection_depth"] < 0.01).all()
    assert (figures["reprojection_colour"] < 0.05).all()
    assert (figures["covisible"] > 0.5).all()
    assert measured.rotations.shape == (2, 3, 3)
    assert measured.thumbnails.shape == (2, 192)


def test_silhouettes_of_scenes_that_go_on_are_refused() -> None:
    with pytest.raises(DataError, match="silhouette is of objects alone"):
        Instruments(MetricSettings(("silhouette",))).measure(
            Plates(0.0, ContractedSpace(0.5, 10.0)), range(1)
        )


def test_depth_figures_do_not_see_factor_and_offset() -> None:
    rng = torch.Generator().manual_seed(0)
    true = 0.5 + torch.rand(2, 4, 8, generator=rng)
    known = torch.rand(2, 4, 8, generator=rng) > 0.3
    wrong = torch.where(known, true, 100.0)
    figures = depth_figures(0.3 * wrong + 0.2, true, known)
    assert figures["depth_error"].tolist() == pytest.approx([0.0] * 2, abs=1e-5)
    assert figures["depth_correlation"].tolist() == pytest.approx([1.0] * 2)
    assert figures["depth_delta"].tolist() == [1.0, 1.0]
    inverted = depth_figures(-true, true, known)
    assert inverted["depth_error"].tolist() == pytest.approx([4.0] * 2)
    noise = depth_figures(torch.rand(2, 4, 8, generator=rng), true, known)
    correlation = noise["depth_correlation"]
    torch.testing.assert_close(noise["depth_error"], 2 - 2 * correlation, atol=1e-5, rtol=0)


@dataclass
class Ramp:
    """A depth network that sees a ramp, or nothing."""

    gives: str
    asked: list[Tensor]
    name: str = "ramp"

    def __call__(self, pixels: Tensor) -> np.ndarray:
        self.asked.append(pixels)
        ramp = np.linspace(1, 2, SIDE, dtype=np.float32)
        maps = np.broadcast_to(ramp, (len(pixels), SIDE, SIDE)).copy()
        maps[0] = 3.0 if self.gives == "disparity" else np.inf
        return maps


@pytest.mark.parametrize("gives", ["depth", "disparity"])
def test_a_depth_network_sees_the_rendered_picture(gives: str) -> None:
    network = Ramp(gives, [])
    found = seen_disparity(network, torch.full((2, 3, SIDE, SIDE), 0.2))
    assert network.asked[0].unique().tolist() == [51]
    assert not found[0].any()  # nothing said
    nearer = found[1, 0].diff() < 0 if gives == "depth" else found[1, 0].diff() > 0
    assert nearer.all()
    measured = Instruments(MetricSettings(("depth",)), depth=network).measure(Plates(), range(2))
    assert measured.figures["depth_correlation"].shape == (2,)


def test_depth_of_photographs_counts_on_the_object_alone() -> None:
    photographs = Plates(0.0).seen(range(2)).photographs
    assert photographs is not None
    _, everywhere = stored_disparity(photographs, objects=False)
    _, known = stored_disparity(photographs, objects=True)
    assert everywhere.all()
    assert known[:, :, SIDE // 2 :].all()
    assert not known[:, :, : SIDE // 2].any()
    figures = Instruments(MetricSettings(("depth",))).measure(Plates(0.0), range(2)).figures
    assert figures["depth_correlation"].tolist() == pytest.approx([1.0] * 2, abs=1e-3)


def test_scenes_are_drawn_in_one_precision_and_measured_in_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounded: list[tuple[str, bool]] = []

    def note(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            rounded.append((name, torch.is_autocast_enabled("cpu")))
            return function(*args, **kwargs)

        return noted

    monkeypatch.setattr(Plates, "seen", note("seen", Plates.seen))
    monkeypatch.setattr(instruments, "reprojection", note("measured", instruments.reprojection))
    monkeypatch.setattr(instruments, "scene_surface", note("surface", instruments.scene_surface))
    monkeypatch.setattr(Scenes, "view", note("view", Scenes.view))
    settings = MetricSettings(("consistency", "mesh_fou"), fou_resolution=8)
    Instruments(settings, drawing=partial(drawing, "cpu", "bf16")).measure(Plates(), range(1))
    assert dict(rounded) == {"seen": True, "view": True, "surface": False, "measured": False}
