from dataclasses import replace

import pytest
import torch
from box_autoencoder import BoxAutoencoder
from quick_training import train
from torch import Tensor

from datamodules.schema import Batch, PixelRays
from lightning_modules.adversarial.stage1_adversaries import LateDiscriminator
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1 import Stage1
from lightning_modules.stage1_rays import RayPlan, draw_pixels, rays_of_pixels, render_views
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose
from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.vq3d import VQ3D
from renderers.ray_sampling import RaySampling

SIDE = 16
PIXELS_ONLY = Stage1Weights(
    logit_laplace=0.0, perceptual=0.0, depth=0.0, adversarial=0.0, novel_view=0.0
)


def tiny_model() -> VQ3D:
    torch.manual_seed(0)
    return VQ3D(
        SIDE,
        4,
        ViTSize(32, 1, 2),
        ViTSize(32, 2, 2),
        CodebookSize(32, 8),
        PlaneSize(8, 16),
        16,
        sampling=RaySampling(8, 8, "disparity"),
    )


def module(weights: Stage1Weights, rays: RayPlan = RayPlan(2, 8, 2, 2)) -> Stage1:
    settings = OptimizerSettings(lr=4e-3, warmup=10, floor=1.0)
    return Stage1(tiny_model(), 10_000, weights, rays, optimizer=settings)


def disc_batch() -> Batch:
    """Four images of a near disc on a far ground, with the disparity that makes it so."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    inside = torch.stack([(rows - 8) ** 2 + (columns - x) ** 2 < 16 for x in (6, 7, 9, 10)])
    image = torch.where(inside[:, None], torch.tensor([220, 60, 30])[:, None, None], 40)
    depth = torch.where(inside, 60_000, 12_000).to(torch.uint16)
    return Batch(tuple("abcd"), image.byte(), torch.zeros(4, dtype=torch.long), depth)


def test_it_learns_colour_and_depth_of_one_batch() -> None:
    stage = module(replace(PIXELS_ONLY, depth=1.0))
    logs = train(stage, disc_batch(), 250)
    assert stage.images_seen == 1000
    assert logs[-1]["loss/l2"] < 0.1 * logs[0]["loss/l2"]
    assert logs[-1]["loss/depth"] < 0.5 * logs[0]["loss/depth"]


def test_the_average_follows_the_model() -> None:
    stage = module(PIXELS_ONLY)
    train(stage, disc_batch(), 30)
    scenes = stage.ema.reconstruct(disc_batch().float_image())
    ours = stage.autoencoder.reconstruct(disc_batch().float_image())
    difference = (scenes.planes - ours.planes).abs().mean()
    assert 0 < difference < 0.5 * ours.planes.abs().mean()


def test_terms_of_weight_zero_are_not_computed() -> None:
    stage = module(PIXELS_ONLY)
    assert stage.adversaries.main is None
    assert stage.adversaries.novel is None
    (logs,) = train(stage, disc_batch(), 1)
    losses = {name for name in logs if name.startswith("loss/")}
    assert losses == {"loss/l2", "loss/quantizer", "loss/total"}


class Difference:
    """Stands for LPIPS, whose network is not at hand."""

    def __init__(self, path: str | None) -> None:
        assert path == "vgg.pth"

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        assert predicted.shape == target.shape == (2, 3, SIDE, SIDE)
        assert predicted.requires_grad
        levels = disc_batch().float_image()
        assert target.unique().tolist() == pytest.approx(levels.unique().tolist(), abs=1e-5)
        return (predicted - target).abs().mean()


def test_patches_are_compared_by_features_as_images_from_0_to_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lightning_modules.stage1.PerceptualLoss", Difference)
    weights = replace(PIXELS_ONLY, l2=0.0, perceptual=1.0)
    settings = OptimizerSettings(lr=4e-3, warmup=10, floor=1.0)
    plan = RayPlan(2, SIDE, 2, 2)
    stage = Stage1(
        tiny_model(), 10_000, weights, plan, optimizer=settings, perceptual_weights="vgg.pth"
    )
    logs = train(stage, disc_batch(), 60)
    assert logs[-1]["loss/perceptual"] < 0.7 * logs[0]["loss/perceptual"]


def test_a_loss_that_is_not_finite_stops_before_the_weights_change() -> None:
    stage = module(PIXELS_ONLY)
    with torch.no_grad():
        stage.autoencoder.field.out.bias[1] = torch.nan
    before = stage.autoencoder.field.hidden.weight.clone()
    with pytest.raises(FloatingPointError, match="l2 = nan"):
        train(stage, disc_batch(), 1)
    assert torch.equal(stage.autoencoder.field.hidden.weight, before)


def test_settings_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"rays\.patch is 0, the adversarial loss needs 8 to 16"):
        module(Stage1Weights(perceptual=0.0), RayPlan(2, 0, 2, 2))
    with pytest.raises(ValueError, match=r"rays\.grid_stride 3 does not divide the resolution 16"):
        module(PIXELS_ONLY, RayPlan(3, 0, 2, 2))
    with pytest.raises(ValueError, match=r"rays\.patch_images is 0, the adversarial loss needs at"):
        module(Stage1Weights(perceptual=0.0), RayPlan(2, 8, 0, 2))
    with pytest.raises(ValueError, match=r"rays\.novel_images is 0, the novel_view loss needs at"):
        module(Stage1Weights(perceptual=0.0), RayPlan(2, 8, 2, 0))
    with pytest.raises(ValueError, match=r"warm up for 10000 images of 100"):
        Stage1(tiny_model(), 100, PIXELS_ONLY, RayPlan(2, 0, 0, 0))


@pytest.mark.parametrize(("seen", "drawn"), [(0, False), (50, True), (100, True)])
def test_novel_views_are_drawn_only_while_something_looks_at_them(seen: int, drawn: bool) -> None:
    weights = replace(PIXELS_ONLY, novel_view=[(60, 0.0), (100, 0.1)])
    settings = OptimizerSettings(warmup=10)
    judge = LateDiscriminator(train_from=50)
    stage = Stage1(
        tiny_model(), 1000, weights, RayPlan(2, 0, 0, 2), optimizer=settings, discriminator=judge
    )
    stage.images_seen = seen
    _, cameras = stage._draw_views(4, weights.at(seen), stage.step_rng(Purpose.VIEWS, 0))
    assert (cameras is not None) is drawn


def ray_batch() -> Batch:
    """`disc_batch` with rays of its own: parallel ones along -z, as no pinhole camera has them."""
    batch = disc_batch()
    y, x = torch.meshgrid(-torch.linspace(-0.9, 0.9, SIDE), torch.linspace(-0.9, 0.9, SIDE))
    origins = torch.stack([x, y, torch.full_like(x, 3.0)], -1).expand(4, SIDE, SIDE, 3)
    directions = torch.tensor([0.0, 0.0, -1.0]).expand(4, SIDE, SIDE, 3)
    return replace(batch, rays=PixelRays(origins.contiguous(), directions.contiguous()))


def test_an_autoencoder_of_another_system_is_trained_along_the_rays_of_its_images() -> None:
    weights = replace(PIXELS_ONLY, depth=0.1)
    settings = OptimizerSettings(lr=1e-2, warmup=10, floor=1.0)
    model = BoxAutoencoder()
    stage = Stage1(model, 10_000, weights, RayPlan(2, 0, 0, 0), optimizer=settings)
    logs = train(stage, ray_batch(), 150)
    assert model.calibrated == 1
    assert logs[-1]["loss/l2"] < 0.2 * logs[0]["loss/l2"]
    assert all(set(log) >= {"loss/depth", "codebook/perplexity"} for log in logs)


def test_the_rays_rendered_are_those_of_the_pixels_drawn() -> None:
    batch, rng = ray_batch(), torch.Generator().manual_seed(0)
    pixels = draw_pixels(RayPlan(4, 8, 2), 4, SIDE, True, rng)
    for at in (pixels.grid, pixels.patch):
        rays = rays_of_pixels(batch.rays, at)
        assert rays is not None
        torch.testing.assert_close(rays.origins[..., 0], (at[..., 0] * SIDE - 0.5) * 0.12 - 0.9)
        torch.testing.assert_close(rays.origins[..., 1], 0.9 - (at[..., 1] * SIDE - 0.5) * 0.12)
        assert (rays.directions == torch.tensor([0.0, 0.0, -1.0])).all()
    assert rays_of_pixels(None, pixels.grid) is None
    views = render_views(
        BoxAutoencoder(),
        BoxAutoencoder().reconstruct(batch.float_image()),
        pixels,
        None,
        rng,
        batch.rays,
    )
    # Distances along the rays: the box lies between z = 1 and z = -1, the rays begin at z = 3.
    torch.testing.assert_close(views.grid_depth, views.grid.t)
    assert 2 <= views.grid.t.min() < views.grid.t.max() <= 4
