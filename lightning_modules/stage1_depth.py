"""The depth term of stage 1: labels in metres where they are, relative disparity elsewhere."""

from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.losses.depth import (
    metric_depth_loss,
    opaque_at_the_end,
    pointwise_depth_loss,
)
from lightning_modules.losses.occlusion import Visible
from lightning_modules.stage1_rays import Renderings
from models.autoencoder import TokenAutoencoder
from renderers.pixels import gather_image


def depth_term(
    autoencoder: TokenAutoencoder,
    batch: Batch,
    pixels: Tensor,
    views: Renderings,
    visible: Visible | None,
) -> Tensor:
    """Loss () of the depth of the grid's samples at pixels (B, R, 2), over visible objects where
    masks tell them.

    An image seen along rays of its own in the frame of its box is compared in metres if the size of
    the box and the unit of its depth are known, in halves of the box's longest side, so that cars
    and pedestrians weigh alike; any other by its disparity, aligned.
    """

    def at_pixels(values: Tensor) -> Tensor:
        return gather_image(values[:, None], pixels)[..., 0]

    known, weights = at_pixels(batch.disparity_known()), opaque_at_the_end(views.grid.weights)
    if visible is not None:
        known = known & visible.object
    metric, size = weights.new_zeros(()), batch.size()
    if autoencoder.uses_sight and batch.rays is not None and size is not None:
        reach = size.amax(1)[:, None] / 2  # (B, 1)
        sized = reach.isfinite()
        reach = reach.where(sized, 1.0)  # a NaN would reach every gradient, known or not
        given = at_pixels(batch.distance()) / reach
        measured = known & sized & given.isfinite()
        metric = metric_depth_loss(weights, views.grid_depth / reach[..., None], given, measured)
        known = known & ~measured
    disparity = autoencoder.scale_disparity(1 / views.grid_depth)
    given = at_pixels(batch.disparity())
    return pointwise_depth_loss(weights, disparity, given, known) + metric
