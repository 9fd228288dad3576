"""Images for the GAN's discriminator: views of scenes, and photographs, in one form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import check_number
from datamodules.schema import Batch
from lightning_modules.training.schedules import MOST_IMAGES
from models.scenes import Scenes, axis_cosine, resized
from renderers.cameras import Camera
from renderers.rays import Rays, camera_rays, rays_to_image

DISPARITY_RANGE = 3.0
"""Standard deviations of an image's disparity that fill [0, 1] from its middle to either end."""


@dataclass(frozen=True)
class MultiView:
    """Multi-view discrimination (arXiv 2402.00225, section 3.3): how many views of a scene are
    judged, and from when on.

    views: of every scene, far apart by construction but where their distribution is learned; each
    is scored separately. from_images: images seen from which all are judged, 0 for always, null for
    never by count; on_collapse: whether they are from when the collapse indicator says so. Until
    then one view is.

    Raises DataError for a number outside its range.
    """

    views: int = 3
    from_images: int | None = None
    on_collapse: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("views", self.views, 1, 1000)
        if self.from_images is not None:
            check_number("from_images", self.from_images, 0, MOST_IMAGES)

    def views_at(self, images_seen: int, collapsed_at: int | None) -> int:
        """Views a scene now; collapsed_at: images seen when the indicator fell, if it did."""
        counted = self.from_images is not None and images_seen >= self.from_images
        fell = self.on_collapse and collapsed_at is not None
        return self.views if counted or fell else 1


@dataclass(frozen=True)
class Judged:
    """Images to be judged, real or generated.

    image: (N, 3, H, W) in about [0, 1]; raw: (N, 3, h, w), what was rendered before
    super-resolution, or a small copy of a photograph (dual discrimination of EG3D); None without
    super-resolution. disparity: (N, 1, h, w) standardised to [0, 1], None where it is not judged.
    """

    image: Tensor
    raw: Tensor | None = None
    disparity: Tensor | None = None


def render_judged(
    scenes: Scenes,
    cameras: Camera,
    resolution: int,
    side: int,
    rng: torch.Generator | None,
    *,
    with_disparity: bool = False,
) -> Judged:
    """V views of every scene, N = B V, scene by scene.

    Args:
        scenes: B scenes.
        cameras: (B, V).
        resolution: side of the images.
        side: of what is rendered; what the refiner takes is resized from it.
        rng: of the samples along the rays, None for even ones.
        with_disparity: whether disparity is judged.
    """
    flat, views = flattened(cameras), cameras.cam2world.shape[1]
    rays = camera_rays(flat, side, side)  # (B V, h w)
    rendering = scenes.render(_by_scene(rays, views), rng)
    shown = rays_to_image(rendering.rgb.unflatten(1, (views, -1)).flatten(0, 1), side, side)
    disparity = None
    if with_disparity:
        cosine = axis_cosine(rays, flat)
        values = rendering.disparity.unflatten(1, (views, -1)).flatten(0, 1) / cosine
        opacity = rendering.opacity.unflatten(1, (views, -1)).flatten(0, 1)
        disparity = standardised(values, opacity).view(-1, 1, side, side)
    if scenes.refiner is None:
        return Judged(resized(shown, resolution, resolution), None, disparity)
    features = resized(shown, scenes.refiner.raw, scenes.refiner.raw)
    return Judged(scenes.refiner(features), shown[:, :3], disparity)


def photographs(batch: Batch, side: int, *, with_raw: bool, with_disparity: bool) -> Judged:
    """A batch of photographs in the form of `render_judged`; needs depth `with_disparity`.

    Without super-resolution they lose as much detail as what is rendered of `side` pixels.
    """
    image = batch.float_image()
    small = resized(image, side, side)
    raw = small if with_raw else None
    image = image if with_raw else resized(small, *image.shape[-2:])
    if not with_disparity:
        return Judged(image, raw)
    values, known = batch.disparity()[:, None], batch.disparity_known()[:, None].float()
    share = resized(known, side, side)
    # Of partly known pixels the mean of what is known.
    mean = resized(values * known, side, side) / share.clamp_min(1e-6)
    standard = standardised(mean.flatten(1), share.flatten(1))
    return Judged(image, raw, standard.view(-1, 1, side, side))


def standardised(disparity: Tensor, weight: Tensor) -> Tensor:
    """Disparity (N, R) of any scale and shift as [0, 1]: mean and deviation are taken out, both
    weighted with (N, R) in [0, 1]; where the weight is 0 the result is 0, as far as can be.

    Depth networks know disparity up to scale and shift only, so nothing else is left to judge.
    """
    total = weight.sum(1, keepdim=True).clamp_min(1e-6)
    centred = disparity - (disparity * weight).sum(1, keepdim=True) / total
    variance = (centred.square() * weight).sum(1, keepdim=True) / total
    scaled = centred * (variance + 1e-8).rsqrt() / (2 * DISPARITY_RANGE) + 0.5
    return weight * scaled.clamp(0, 1)


def flattened(cameras: Camera) -> Camera:
    """Cameras (B, V) as (B V,)."""
    return Camera(cameras.cam2world.flatten(0, 1), cameras.intrinsics.flatten(0, 1))


def _by_scene(rays: Rays, views: int) -> Rays:
    """Rays (B V, R) as (B, V R)."""
    origins = rays.origins.expand_as(rays.directions)
    return Rays(
        origins.unflatten(0, (-1, views)).flatten(1, 2),
        rays.directions.unflatten(0, (-1, views)).flatten(1, 2),
    )
