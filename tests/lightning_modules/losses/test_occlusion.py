import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.losses.occlusion import (
    alpha_loss,
    composite,
    opacity_entropy,
    require_masks,
    shown,
    visible_pixels,
)

CODES = torch.tensor([[1, 0, 2, 255]])
BEHIND = 0.25


def rendering() -> tuple[Tensor, Tensor, Tensor]:
    """Colour C, opacity A and the rendering A C + (1 - A) b of four pixels, with gradients."""
    rng = torch.Generator().manual_seed(0)
    colour = torch.rand(1, 4, 3, generator=rng).requires_grad_()
    opacity = (0.2 + 0.6 * torch.rand(1, 4, generator=rng)).requires_grad_()
    rgb = opacity[..., None] * colour + (1 - opacity[..., None]) * BEHIND
    return colour, opacity, rgb


def image() -> Tensor:
    return torch.rand(1, 4, 3, generator=torch.Generator().manual_seed(1))


def test_the_composition_by_hand() -> None:
    colour, opacity, rgb = rendering()
    a = opacity[..., None]
    completed = composite(rgb, opacity, image(), visible_pixels(CODES), BEHIND)
    on_object, on_background = a * colour + (1 - a) * BEHIND, a * colour + (1 - a) * image()
    expected = torch.stack([on_object[0, 0], on_background[0, 1], image()[0, 2], image()[0, 3]])
    torch.testing.assert_close(completed[0], expected)


def test_an_empty_scene_is_no_error_on_the_background_and_one_on_the_object() -> None:
    empty, opacity = torch.full((1, 4, 3), BEHIND), torch.zeros(1, 4)
    squares = (composite(empty, opacity, image(), visible_pixels(CODES), BEHIND) - image()) ** 2
    assert squares[0, 1:].abs().max() < 1e-12
    assert squares[0, 0].max() > 1e-3


def test_occluders_and_unknown_pixels_have_no_gradient() -> None:
    colour, opacity, rgb = rendering()
    visible = visible_pixels(CODES)
    beside = shown(rgb, opacity, image(), visible, BEHIND)
    loss = beside.l2() + alpha_loss(opacity, visible) + opacity_entropy(opacity, visible)
    loss = loss + beside.rgb.sin().sum()  # whatever else looks at the completed image
    loss.backward()
    assert colour.grad is not None
    assert opacity.grad is not None
    assert (colour.grad[0, :2].abs().amax(1) > 0).all()
    assert (opacity.grad[0, :2].abs() > 0).all()
    assert torch.equal(colour.grad[0, 2:], torch.zeros(2, 3))
    assert torch.equal(opacity.grad[0, 2:], torch.zeros(2))


def test_the_mean_is_over_visible_pixels() -> None:
    _, opacity, rgb = rendering()
    beside = shown(rgb, opacity, image(), visible_pixels(CODES), BEHIND)
    squares = (beside.rgb - image()).square().mean(-1)[0]
    torch.testing.assert_close(beside.l2(), squares[:2].mean())


def test_each_kind_of_pixel_has_a_figure_of_its_own() -> None:
    _, opacity, rgb = rendering()
    beside = shown(rgb, opacity, image(), visible_pixels(CODES), BEHIND)
    figures = beside.l2_by_mask()
    rendered = (rgb - image()).square().mean(-1)[0]
    torch.testing.assert_close(figures["l2_object"], rendered[0])
    torch.testing.assert_close(figures["l2_occluder"], rendered[2:].mean())
    assert figures["l2_background"] < rendered[1]  # what is behind comes from the image
    assert not any(value.requires_grad for value in figures.values())


def test_a_plain_loss_takes_occluders_for_the_object() -> None:
    visible = visible_pixels(CODES, "object")
    assert visible.object.tolist() == [[True, False, True, False]]
    assert visible_pixels(CODES).object.tolist() == [[True, False, False, False]]


def test_without_masks_or_with_a_scene_that_goes_on_nothing_is_completed() -> None:
    _, opacity, rgb = rendering()
    for beside in (
        shown(rgb, opacity, image(), None, BEHIND),
        shown(rgb, opacity, image(), visible_pixels(CODES), None),
    ):
        assert beside.rgb is rgb
        assert beside.l2_by_mask() == {}
        torch.testing.assert_close(beside.l2(), (rgb - image()).square().mean())
        with pytest.raises(DataError, match=r"`data.mask` to true"):
            require_masks(beside.visible)


def test_images_without_visible_pixels_cost_nothing() -> None:
    opacity = torch.full((1, 4), 0.5, requires_grad=True)
    visible = visible_pixels(torch.full((1, 4), 255))
    loss = alpha_loss(opacity, visible) + opacity_entropy(opacity, visible)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(opacity.grad, torch.zeros(1, 4))
