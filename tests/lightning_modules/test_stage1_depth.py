"""Depth labels of stage 1: in metres along the rays of driving crops, relative elsewhere."""

from dataclasses import replace

import torch
from quick_training import train
from test_stage1_masked import SIDE, WEIGHTS, red_box_batch, stage
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.inference.tokenise import sight
from lightning_modules.losses.occlusion import visible_pixels
from lightning_modules.stage1_depth import depth_term
from lightning_modules.stage1_rays import Pixels, render_views, view_images
from models.autoencoder import TokenAutoencoder
from renderers.pixels import gather_image, pixel_centres

BALL, WALL = 0.3, 0.9
"""Radius of the red ball, and metres to the walls before two of the four views."""


def measured_batch(unit: float = 2e-5) -> Batch:
    """`red_box_batch` with the distances of a LiDAR, which meets the walls, too."""
    batch = red_box_batch()
    origins, ways = batch.rays.origins, batch.rays.directions
    middle = -(origins * ways).sum(-1)
    squared = (origins.square().sum(-1) - middle.square()).clamp(max=BALL**2)
    distance = middle - (BALL**2 - squared).sqrt()
    distance = torch.where(batch.mask == 2, WALL, distance)
    codes = (1 / (distance * unit)).round()
    depth = codes.where(batch.mask > 0, 0).to(torch.int32).to(torch.uint16)
    return replace(batch, depth=depth, disparity_unit=torch.full((4,), unit))


def term(model: TokenAutoencoder, batch: Batch) -> Tensor:
    """The depth term of all pixels."""
    pixels = pixel_centres(SIDE, SIDE, torch.device("cpu")).expand(4, -1, -1)
    scenes = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
    rng = torch.Generator().manual_seed(0)
    views = render_views(model, scenes, Pixels(pixels, None), None, rng, batch.rays)
    visible = visible_pixels(gather_image(batch.mask[:, None], pixels)[..., 0])
    return depth_term(model, batch, pixels, views, visible)


def test_the_surface_is_drawn_to_where_lidar_met_it() -> None:
    module, batch = stage(replace(WEIGHTS, depth=1.0)), measured_batch()
    logs = train(module, batch, 120)
    assert logs[-1]["loss/depth"] < 0.2 * logs[0]["loss/depth"]
    model = module.autoencoder
    with torch.no_grad():
        scenes = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
        view = view_images(model, scenes, batch)
    seen = batch.mask == 1
    assert view.opacity[seen].mean() > 0.9
    assert (1 / view.disparity - batch.distance())[seen].abs().mean() < 0.06


def test_what_lidar_met_before_the_object_says_nothing() -> None:
    model, batch = stage().autoencoder.eval(), measured_batch()
    codes = batch.depth.to(torch.int32)
    elsewhere = [
        replace(batch, depth=torch.where(batch.mask == code, 40_000, codes).to(torch.uint16))
        for code in (1, 2)
    ]
    assert torch.equal(term(model, elsewhere[1]), term(model, batch))
    assert not torch.equal(term(model, elsewhere[0]), term(model, batch))


def test_without_a_unit_or_rays_depth_is_relative() -> None:
    model, batch = stage().autoencoder.eval(), measured_batch()
    unknown = replace(batch, disparity_unit=torch.full((4,), torch.nan))
    relative = term(model, unknown)
    assert relative.isfinite()
    assert torch.equal(term(model, replace(batch, disparity_unit=None)), relative)
    assert not torch.equal(term(model, batch), relative)
    one = torch.arange(4) == 0
    mixed = replace(batch, disparity_unit=torch.where(one, batch.disparity_unit, torch.nan))
    assert term(model, mixed).isfinite()
    halved = replace(batch, depth=(batch.depth.to(torch.int32) // 2).to(torch.uint16))
    torch.testing.assert_close(
        term(model, replace(halved, disparity_unit=2 * batch.disparity_unit)),
        term(model, batch),
        rtol=1e-3,
        atol=0,
    )


def test_an_object_of_unknown_size_is_compared_by_disparity() -> None:
    model, batch = stage().autoencoder.eval(), measured_batch()
    sizes = batch.size().clone()
    sizes[3] = torch.nan
    attributes = replace(batch.attributes, size=sizes)
    last = torch.arange(4) == 3
    relative = replace(batch, disparity_unit=torch.where(last, torch.nan, batch.disparity_unit))
    found = term(model, replace(batch, attributes=attributes))
    found.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    # Without its size the scene lies in a box of its own, so that depths differ a little.
    torch.testing.assert_close(found, term(model, relative), rtol=0.2, atol=0)
