import pytest
import torch
from torch import Tensor

from lightning_modules.losses.depth import (
    SCALE_LIMITS,
    accumulated_depth_loss,
    align_disparity,
    metric_depth_loss,
    opaque_at_the_end,
    pointwise_depth_loss,
)


def random_scene(images: int = 2, rays: int = 40, samples: int = 6) -> tuple[Tensor, ...]:
    """Weights, disparity, given and known, with labels that follow the scene at a scale near 1."""
    rng = torch.Generator().manual_seed(0)
    weights = torch.randn(images, rays, samples, generator=rng).softmax(-1)
    disparity = torch.rand(images, rays, samples, generator=rng)
    rendered = (weights * disparity).sum(-1)
    given = 1.2 * rendered - 0.1 + 0.02 * torch.randn(images, rays, generator=rng)
    known = torch.rand(images, rays, generator=rng) < 0.8
    return weights, disparity, given, known


def surface(depths: list[float]) -> tuple[Tensor, Tensor]:
    """Weights and disparity (1, R, 1) of rays that end in one sample each."""
    return torch.ones(1, len(depths), 1), torch.tensor(depths)[None, :, None]


def test_pointwise_is_accumulated_plus_squared_scale_times_variance_along_the_ray() -> None:
    weights, disparity, given, known = random_scene()
    rendered = (weights * disparity).sum(-1)
    variance = (weights * disparity.square()).sum(-1) - rendered.square()
    scale = align_disparity(rendered, given, known).scale
    spread = (scale.square() * variance)[known].mean()
    assert spread > 0.01
    accumulated = accumulated_depth_loss(weights, disparity, given, known)
    pointwise = pointwise_depth_loss(weights, disparity, given, known)
    torch.testing.assert_close(pointwise, accumulated + spread)


def test_alignment_is_the_least_squares_line() -> None:
    weights, disparity, given, known = random_scene()
    rendered = (weights * disparity).sum(-1)
    fit = align_disparity(rendered, given, known)
    for image in range(2):
        d, label = rendered[image, known[image]], given[image, known[image]]
        design = torch.stack([d, torch.ones_like(d)], 1).double()
        line = torch.linalg.lstsq(design, label.double()[:, None]).solution[:, 0].float()
        assert SCALE_LIMITS[0] < line[0] < SCALE_LIMITS[1]
        torch.testing.assert_close(fit.scale[image, 0], line[0], rtol=1e-4, atol=0)
        torch.testing.assert_close(fit.shift[image, 0], line[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("scale", "shift"), [(0.5, 0.0), (2.0, -0.3), (1.0, 0.7)])
def test_an_affine_change_of_the_scenes_disparity_costs_nothing(scale: float, shift: float) -> None:
    # As long as the aligning scale, 1.2 / a here, stays within its limits.
    weights, disparity, given, known = random_scene()
    for loss in (pointwise_depth_loss, accumulated_depth_loss):
        before = loss(weights, disparity, given, known)
        torch.testing.assert_close(
            loss(weights, scale * disparity + shift, given, known), before, rtol=1e-4, atol=1e-7
        )


def test_a_constant_prediction_scores_the_variance_of_the_labels() -> None:
    # Labels 0 .2 .4 1: mean 0.4, variance (.16 + .04 + 0 + .36) / 4 = 0.14.
    given, known = torch.tensor([[0.0, 0.2, 0.4, 1.0]]), torch.ones(1, 4, dtype=torch.bool)
    for loss in (pointwise_depth_loss, accumulated_depth_loss):
        assert loss(*surface([0.3] * 4), given, known).item() == pytest.approx(0.14, rel=1e-4)


def test_by_hand_with_an_unknown_pixel() -> None:
    # d = 1 2 3 onto D = 0 0 1: s = 1 / 2, t = 1/3 - 1, residuals -1/6 1/3 -1/6: mean square 1/18.
    # The first ray is half 0.5, half 1.5, variance 1/4: pointwise adds s^2 / 4 / 3 = 1/48. The
    # fourth ray is unknown, whatever its label.
    weights = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
    disparity = torch.tensor([[[0.5, 1.5], [2.0, 0.0], [3.0, 0.0], [7.0, 0.0]]])
    given = torch.tensor([[0.0, 0.0, 1.0, 9.0]])
    known = torch.tensor([[True, True, True, False]])
    accumulated = accumulated_depth_loss(weights, disparity, given, known)
    assert accumulated.item() == pytest.approx(1 / 18, rel=1e-5)
    pointwise = pointwise_depth_loss(weights, disparity, given, known)
    assert pointwise.item() == pytest.approx(1 / 18 + 1 / 48, rel=1e-5)


def test_inverted_depth_keeps_the_smallest_scale_and_is_pushed_apart() -> None:
    # d = 0 1 against D = 1 0 would fit s = -1. At the floor s: t = (1 - s) / 2, the predictions
    # (1 -+ s) / 2 miss by (1 + s) / 2 each.
    weights, disparity = surface([0.0, 1.0])
    disparity.requires_grad_()
    given, known = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool)
    floor = SCALE_LIMITS[0]
    fit = align_disparity(disparity[..., 0], given, known)
    assert fit.scale.item() == pytest.approx(floor)
    assert fit.shift.item() == pytest.approx((1 - floor) / 2)
    loss = accumulated_depth_loss(weights, disparity, given, known)
    assert loss.item() == pytest.approx((1 + floor) ** 2 / 4)
    loss.backward()
    assert disparity.grad[0, 0, 0] < 0 < disparity.grad[0, 1, 0]  # the near one away, and back


def test_a_flat_scene_does_not_get_a_boundless_scale() -> None:
    rendered, given = torch.tensor([[0.5, 0.5001]]), torch.tensor([[0.0, 1.0]])
    fit = align_disparity(rendered, given, torch.ones(1, 2, dtype=torch.bool))
    assert fit.scale.item() == SCALE_LIMITS[1]


def test_no_gradient_flows_through_scale_and_shift() -> None:
    # With s, t constants: d loss / d d_i = 2 s w_i (s d_i + t - D) / n on known rays.
    weights, disparity, given, known = random_scene()
    disparity.requires_grad_()
    pointwise_depth_loss(weights, disparity, given, known).backward()
    fit = align_disparity((weights * disparity).sum(-1), given, known)
    assert not fit.scale.requires_grad
    assert not fit.shift.requires_grad
    residual = fit.scale[..., None] * disparity + (fit.shift - given)[..., None]
    expected = 2 * fit.scale[..., None] * weights * residual * known[..., None] / known.sum()
    torch.testing.assert_close(disparity.grad, expected.detach())


def test_nothing_known_costs_nothing_and_gives_finite_gradients() -> None:
    weights, disparity, given, known = random_scene()
    weights.requires_grad_()
    disparity.requires_grad_()
    loss = pointwise_depth_loss(weights, disparity, given, torch.zeros_like(known))
    loss.backward()
    assert loss.item() == 0
    assert (weights.grad == 0).all()
    assert (disparity.grad == 0).all()


def test_an_image_without_labels_does_not_count() -> None:
    weights, disparity, given, known = random_scene()
    known[1] = False
    both = pointwise_depth_loss(weights, disparity, given, known)
    alone = pointwise_depth_loss(weights[:1], disparity[:1], given[:1], known[:1])
    torch.testing.assert_close(both, alone)


def test_depth_in_metres_is_compared_as_it_is() -> None:
    # Weight 1/4 one metre short of the label, 3/4 two metres behind it: 1/4 + 3. The second ray is
    # unknown, whatever its label.
    weights = torch.tensor([[[0.25, 0.75], [0.5, 0.5]]])
    depth = torch.tensor([[[4.0, 7.0], [1.0, 2.0]]])
    known = torch.tensor([[True, False]])
    for unknown in (0.0, torch.nan, torch.inf):
        given = torch.tensor([[5.0, unknown]])
        assert metric_depth_loss(weights, depth, given, known).item() == 3.25
    assert metric_depth_loss(weights, depth, given, torch.zeros_like(known)).item() == 0


def test_what_is_not_opaque_counts_at_the_far_end() -> None:
    weights = torch.tensor([[[0.5, 0.25], [0.0, 0.0], [0.0, 1.0]]])
    assert opaque_at_the_end(weights).tolist() == [[[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]]
