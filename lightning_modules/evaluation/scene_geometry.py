"""Geometry of scenes for the non-flatness score."""

from lightning_modules.evaluation.image_source import Geometry
from models.scenes import Scenes, View
from renderers.cameras import Camera


def scene_geometry(scenes: Scenes, camera: Camera, view: View) -> Geometry:
    """The disparity in a view of scenes from a camera, (1,) or (B,), between the nearest and the
    farthest end of each image's rays; pixels count by their opacity."""
    low, high = view.disparity_range.unbind(1)
    return Geometry(view.disparity, low, high, "disparity", view.opacity)
