"""Turn scenes into the encoded samples of a shard: image, depth, mask, camera, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from datamodules.build.encode import encode_camera, encode_depth, encode_mask, encode_png
from datamodules.build.shapeworld.renderer import render, scene_camera
from datamodules.build.shapeworld.sampling import scene_for
from datamodules.build.shapeworld.scene import Scene
from datamodules.build.writer import EncodedSample
from datamodules.modalities import DISPARITY_MAX, SPLITS
from renderers.cameras import Camera


@dataclass(frozen=True)
class ShapeworldSamples:
    """Callable (split, shard index) -> the samples of that shard; picklable and pure.

    counts: samples of each shard of each split, as `build_shards` takes them; half_hidden: see
    `scene_for`.
    """

    seed: int
    resolution: int
    counts: dict[str, tuple[int, ...]]
    half_hidden: float = 0.0

    def __call__(self, split: str, shard: int) -> Iterator[EncodedSample]:
        """Yield the samples of one shard, in order."""
        first = sum(self.counts[split][:shard])
        for index in range(first, first + self.counts[split][shard]):
            scene = scene_for(self.seed, split, index, self.half_hidden)
            yield encode_scene(key_of(split, index), scene, self.resolution)


def key_of(split: str, index: int) -> str:
    """Key of a scene in the shards, e.g. "val-000012"."""
    return f"{split}-{index:06d}"


def scene_of_key(seed: int, key: str, half_hidden: float = 0.0) -> Scene:
    """Scene behind a key of the shards written with that seed and share of hidden objects, to
    render it from other cameras.

    Raises ValueError for a key that no shapeworld shard holds.
    """
    split, _, number = key.partition("-")
    if split not in SPLITS or not number.isdigit():
        raise ValueError(f"key {key!r} is not of shapeworld: expected e.g. 'val-000012'.")
    return scene_for(seed, split, int(number), half_hidden)


def encode_scene(key: str, scene: Scene, resolution: int) -> EncodedSample:
    """Render a scene's photograph and encode it with all its sidecars, its camera in the frame of
    the object's box: the origin in its middle."""
    camera = scene_camera(scene)
    view = render(scene, camera, resolution)
    record = {
        "label": scene.label,
        "class": scene.class_name,
        "size": [round(side, 4) for side in scene.size],
        "time_of_day": scene.time_of_day,
    }
    return EncodedSample(
        key=key,
        image_bytes=encode_png(view.rgb),
        image_ext="png",
        json_record=record,
        depth_png=encode_depth(relative_disparity(view.z_depth)),
        mask_png=encode_mask(view.mask),
        rays_npz=encode_camera(in_box_frame(scene, camera), camera.intrinsics.numpy()),
    )


def in_box_frame(scene: Scene, camera: Camera) -> np.ndarray:
    """Pose (4, 4) float32 of an unbatched camera in the frame of the scene's box."""
    pose = camera.cam2world.numpy().copy()
    pose[:3, 3] -= np.array(scene.centre, np.float32)
    return pose


def relative_disparity(z_depth: np.ndarray) -> np.ndarray:
    """Disparity (H, W) uint16 proportional to 1 / z, the nearest pixel 65535, all known.

    z_depth: (H, W) > 0 in any unit, inf where nothing was hit; what is far is stored as 1, since 0
    means unknown.
    """
    disparity = 1.0 / z_depth.astype(np.float64)
    scaled = np.round(DISPARITY_MAX * disparity / disparity.max())
    return np.maximum(scaled, 1.0).astype(np.uint16)
