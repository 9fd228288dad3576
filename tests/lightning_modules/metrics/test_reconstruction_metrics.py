import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.metrics.reconstruction import ReconstructionMetrics
from models.scenes import View


def batch(count: int, with_depth: bool = True) -> Batch:
    rng = torch.Generator().manual_seed(0)
    depth = torch.randint(1, 65536, (count, 4, 4), generator=rng)
    depth[:, 0] = 0  # unknown
    return Batch(
        keys=tuple(map(str, range(count))),
        image=torch.randint(256, (count, 3, 4, 4), generator=rng).to(torch.uint8),
        label=torch.zeros(count, dtype=torch.long),
        depth=depth.to(torch.uint16) if with_depth else None,
    )


def view(rgb: Tensor, disparity: Tensor, opacity: Tensor | None = None) -> View:
    opacity = torch.ones_like(disparity) if opacity is None else opacity
    return View(rgb, disparity, opacity, torch.tensor([[0.0, 1.0]]).expand(len(rgb), 2))


def outputs(count: int) -> tuple[View, Tensor]:
    rng = torch.Generator().manual_seed(1)
    rgb = torch.rand(count, 3, 4, 4, generator=rng)
    disparity = torch.rand(count, 4, 4, generator=rng)
    return view(rgb, disparity), torch.randint(8, (count, 5), generator=rng)


def test_unequal_batches_give_the_figures_of_all_images_at_once() -> None:
    of_all, tokens = outputs(5)
    whole, parts = ReconstructionMetrics(codes=8), ReconstructionMetrics(codes=8)
    whole.update(of_all, None, tokens, batch(5))
    for part in (slice(0, 4), slice(4, 5)):
        of_part = view(of_all.rgb[part], of_all.disparity[part])
        parts.update(of_part, None, tokens[part], batch(5)[part])
    expected, figures = whole.compute(), parts.compute()
    assert set(figures) == {
        "psnr",
        "disparity_correlation",
        "codebook_usage",
        "codebook_perplexity",
    }
    for name, value in expected.items():
        torch.testing.assert_close(figures[name], value, msg=name)


def test_figures_by_hand() -> None:
    # Off by 0.1: 20 dB. Disparity affine in the given one: 1. Codes 0 0 1 1 of 8: a quarter, and
    # two alike in perplexity.
    given = batch(1)
    rgb = given.float_image()
    rgb = torch.where(rgb > 0.5, rgb - 0.1, rgb + 0.1)
    metrics = ReconstructionMetrics(codes=8)
    found = view(rgb, 3 * given.disparity() + 1)
    metrics.update(found, None, torch.tensor([[0, 0, 1, 1]]), given)
    figures = {name: value.item() for name, value in metrics.compute().items()}
    assert figures == pytest.approx(
        {
            "psnr": 20,
            "disparity_correlation": 1,
            "codebook_usage": 0.25,
            "codebook_perplexity": 2,
        },
        rel=1e-4,
    )


def test_images_without_a_correlation_do_not_spoil_the_mean() -> None:
    given = batch(2)
    disparity = given.disparity()
    disparity[1] = 0.5  # constant: no correlation
    metrics = ReconstructionMetrics(codes=8)
    found = view(given.float_image(), disparity)
    metrics.update(found, None, torch.zeros(2, 1, dtype=torch.long), given)
    assert metrics.compute()["disparity_correlation"].item() == pytest.approx(1)


def test_without_depth_there_is_no_correlation() -> None:
    metrics = ReconstructionMetrics(codes=8)
    found, tokens = outputs(2)
    metrics.update(found, None, tokens, batch(2, with_depth=False))
    assert "disparity_correlation" not in metrics.compute()


def test_reset_forgets_everything() -> None:
    metrics = ReconstructionMetrics(codes=8)
    found, tokens = outputs(5)
    metrics.update(found, None, tokens, batch(5))
    metrics.compute()
    metrics.reset()
    given = batch(1, with_depth=False)
    found = view(given.float_image(), outputs(1)[0].disparity)
    metrics.update(found, None, torch.tensor([[3]]), given)
    figures = metrics.compute()
    assert figures["psnr"].item() == pytest.approx(100)
    assert figures["codebook_usage"].item() == pytest.approx(1 / 8)
    assert "disparity_correlation" not in figures
    assert not any(math.isnan(value.item()) for value in figures.values())


def test_masks_tell_the_object_from_the_rest() -> None:
    # Rows: object, background, occluder, unknown. The rendering is off by 0.1 on the object, solid
    # there and in half of the background.
    mask = torch.tensor([1, 0, 2, 255], dtype=torch.uint8)[None, :, None].expand(1, 4, 4)
    given = replace(batch(1, with_depth=False), mask=mask)
    image = given.float_image()
    rgb = torch.full_like(image, 0.25)  # nothing: what is behind
    rgb[:, :, 0] = torch.where(image[:, :, 0] > 0.5, image[:, :, 0] - 0.1, image[:, :, 0] + 0.1)
    opacity = torch.zeros(1, 4, 4)
    opacity[:, 0], opacity[:, 1, :2] = 1, 0.6
    rgb[:, :, 1, :2] = 0.4 * 0.25 + 0.6 * image[:, :, 1, :2]
    metrics = ReconstructionMetrics(codes=8)
    metrics.update(view(rgb, torch.rand(1, 4, 4), opacity), 0.25, torch.tensor([[3]]), given)
    figures = metrics.compute()
    assert figures["object_psnr"].item() == pytest.approx(20, rel=1e-4)
    assert figures["psnr"].item() == pytest.approx(20 + 10 * math.log10(4), rel=1e-4)
    assert figures["silhouette_iou"].item() == pytest.approx(4 / 6)


def test_masks_of_a_scene_that_goes_on_change_nothing() -> None:
    found, tokens = outputs(2)
    masks = torch.ones(2, 4, 4, dtype=torch.uint8)
    plain, masked = ReconstructionMetrics(codes=8), ReconstructionMetrics(codes=8)
    plain.update(found, None, tokens, batch(2))
    masked.update(found, None, tokens, replace(batch(2), mask=masks))
    assert plain.compute() == masked.compute()
