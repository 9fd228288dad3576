"""Geometry of scenes for the non-flatness score."""

from lightning_modules.evaluation.image_source import Geometry
from models.scenes import Scenes, View, expand_camera
from renderers.cameras import Camera
from renderers.rays import camera_rays


def scene_geometry(scenes: Scenes, camera: Camera, view: View) -> Geometry:
    """The disparity in a view of scenes from a camera, (1,) or (B,), between the nearest and the
    farthest end of each image's rays; pixels count by their opacity."""
    height, width = view.disparity.shape[1:]
    bounds = scenes.space.bounds(camera_rays(expand_camera(camera, len(scenes)), height, width))
    low = 1 / bounds.far.masked_fill(~bounds.hit, 0.0).amax(1)
    high = 1 / bounds.near.masked_fill(~bounds.hit, float("inf")).amin(1)
    return Geometry(view.disparity, low, high, "disparity", view.opacity)
