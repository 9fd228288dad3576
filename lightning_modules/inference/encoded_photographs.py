"""What a stage-1 model makes of a photograph: tokens, a scene, and its view of the scene."""

from dataclasses import replace

import torch
from torch import Tensor

from lightning_modules.inference.photographs import Photograph
from models.autoencoder import TokenAutoencoder
from models.scenes import Scenes, View
from models.spaces import SceneBoxes
from renderers.pixels import pixel_centres
from renderers.rays import resampled_rays


@torch.no_grad()
def photo_tokens(model: TokenAutoencoder, photo: Photograph) -> Tensor:
    """Tokens (1, T) of a photograph."""
    return model.encode(photo.pixels, photo.sight).tokens


@torch.no_grad()
def photo_scene(model: TokenAutoencoder, photo: Photograph) -> Scenes:
    """The scene (1) of a photograph, in its object's box where that is known."""
    return model.reconstruct(photo.pixels, photo.sight).in_boxes(photo.sight.size)


@torch.no_grad()
def scene_between(
    model: TokenAutoencoder,
    tokens: tuple[Tensor, Tensor],
    ends: tuple[Scenes, Scenes],
    share: float,
) -> Scenes:
    """The scene (1) a share, in [0, 1], of the way between two of the model's: the code of every
    token (1, T) moves to its goal, and so does the size of the box where each has its own."""
    made = model.decode(model.blend(*tokens, share))
    first, second = (scene.space for scene in ends)
    if not (isinstance(first, SceneBoxes) and isinstance(second, SceneBoxes)):
        return made
    box = torch.lerp(first.half_extents, second.half_extents, share)
    return replace(made, space=replace(first, half_extents=box))


@torch.no_grad()
def photo_view(
    model: TokenAutoencoder, photo: Photograph, scenes: Scenes, size: int, points_per_chunk: int
) -> View:
    """The scene (1) of a photograph as the photograph shows it, `size` pixels wide."""
    pixels, given = pixel_centres(size, size, photo.pixels.device), photo.sight.rays
    if given is not None:
        given = resampled_rays(given, photo.pixels.shape[-1], pixels)
    rays = model.image_rays(pixels, given)
    return scenes.view_along(rays, model.depth_share(rays), (size, size), points_per_chunk)
