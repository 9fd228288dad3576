"""Pictures of a GAN: classes from all sides, and the camera moving around them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.classes import class_name, spread_labels
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import Pictures, colored_disparity, sheet
from models.scenes import Scenes
from models.wildgan import WildGAN
from renderers.cameras import Camera

AZIMUTHS = 5
FRAMES = 16
TRUNCATION = 0.7
"""Of the pictures only: less typical latents are worth a look once the typical ones are good."""


def gan_pictures(model: WildGAN, names: Sequence[str], rows: int) -> list[Pictures]:
    """A sheet with a class in each of at most `rows` rows, seen from `AZIMUTHS` sides, colours and
    then disparity; and an animated strip of the same scenes.

    names: of the classes, as far as they are known.
    """
    labels = spread_labels(model.classes, rows)
    device = model.field.out.weight.device
    seeds = [0] * len(labels) if model.classes else list(range(len(labels)))
    known = torch.tensor(labels, device=device).clamp_min(0)
    scenes = model.scenes(model.mapped(known, seeds, TRUNCATION))
    titles = [class_name(label, names) for label in labels]
    around = labelled(views_sheet(scenes, model.views.around(AZIMUTHS), model.resolution), titles)
    turning = model.views.around(FRAMES)
    frames = [
        torch.cat(list(scenes.view(camera, model.resolution, model.resolution).rgb), -1)
        for camera in _each(turning, device)
    ]
    return [Pictures("classes", [around.cpu()]), Pictures("turning", frames)]


def views_sheet(scenes: Scenes, cameras: Camera, side: int) -> Tensor:
    """Sheet with a row a scene (B): its colours and then the disparity of what is opaque, from
    cameras (V,)."""
    views = [scenes.view(camera, side, side) for camera in _each(cameras, scenes.planes.device)]
    depths = [colored_disparity(view) for view in views]
    return sheet([view.rgb for view in views] + depths)


def _each(cameras: Camera, device: torch.device) -> list[Camera]:
    return [cameras[i : i + 1].to(device) for i in range(len(cameras.cam2world))]
