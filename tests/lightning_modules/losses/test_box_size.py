import math

import pytest
import torch

from lightning_modules.losses.box_size import box_size_loss


def test_the_mean_over_sides_of_known_boxes() -> None:
    half = torch.tensor([[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]], requires_grad=True)
    size = torch.tensor([[2.0, 2.0, 4.0], [math.nan] * 3])  # twice as high as found
    loss = box_size_loss(half, size)
    assert loss.item() == pytest.approx(math.log(2) ** 2 / 3)
    loss.backward()
    assert half.grad[0].tolist() == pytest.approx([0, -2 * math.log(2) / 3, 0])  # y is up
    assert half.grad[1].abs().max() == 0


def test_no_known_box_costs_nothing() -> None:
    assert box_size_loss(torch.ones(2, 3), torch.full((2, 3), math.nan)).item() == 0
