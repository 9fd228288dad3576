import math

import pytest
import torch
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.metrics.reconstruction import ReconstructionMetrics


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


def outputs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    rgb = torch.rand(count, 3, 4, 4, generator=rng)
    disparity = torch.rand(count, 4, 4, generator=rng)
    return rgb, disparity, torch.randint(8, (count, 5), generator=rng)


def test_unequal_batches_give_the_figures_of_all_images_at_once() -> None:
    rgb, disparity, tokens = outputs(5)
    whole, parts = ReconstructionMetrics(codes=8), ReconstructionMetrics(codes=8)
    whole.update(rgb, disparity, tokens, batch(5))
    for part in (slice(0, 4), slice(4, 5)):
        parts.update(rgb[part], disparity[part], tokens[part], batch(5)[part])
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
    metrics.update(rgb, 3 * given.disparity() + 1, torch.tensor([[0, 0, 1, 1]]), given)
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
    metrics.update(given.float_image(), disparity, torch.zeros(2, 1, dtype=torch.long), given)
    assert metrics.compute()["disparity_correlation"].item() == pytest.approx(1)


def test_without_depth_there_is_no_correlation() -> None:
    metrics = ReconstructionMetrics(codes=8)
    metrics.update(*outputs(2), batch(2, with_depth=False))
    assert "disparity_correlation" not in metrics.compute()


def test_reset_forgets_everything() -> None:
    metrics = ReconstructionMetrics(codes=8)
    metrics.update(*outputs(5), batch(5))
    metrics.compute()
    metrics.reset()
    given = batch(1, with_depth=False)
    metrics.update(given.float_image(), *outputs(1)[1:2], torch.tensor([[3]]), given)
    figures = metrics.compute()
    assert figures["psnr"].item() == pytest.approx(100)
    assert figures["codebook_usage"].item() == pytest.approx(1 / 8)
    assert "disparity_correlation" not in figures
    assert not any(math.isnan(value.item()) for value in figures.values())
