"""shapeworld: a procedural data set with true depth, masks, cameras and attributes."""

from datamodules.build.shapeworld.recipes import CLASSES
from datamodules.build.shapeworld.renderer import View, render, scene_camera
from datamodules.build.shapeworld.samples import scene_of_key
from datamodules.build.shapeworld.sampling import scene_for
from datamodules.build.shapeworld.scene import Scene
from datamodules.build.shapeworld.verb import shapeworld

__all__ = [
    "CLASSES",
    "Scene",
    "View",
    "render",
    "scene_camera",
    "scene_for",
    "scene_of_key",
    "shapeworld",
]
