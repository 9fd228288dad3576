"""`python -m benchmarks.lowpoly_attributes`: cameras, boxes and depth of photographed objects, as
`wild3d shards` takes them.

Reads folders as `benchmarks.known_views` does. The box of an object is around the origin, where its
cameras look, its front towards +x, and holds all surface points of all its views. Writes
attributes/<class>/<name>.json and depth/<class>/<name>.png, in millimetres if the world's unit is a
metre.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from benchmarks.known_views import ObjectViews, read_known_views
from datamodules.build.encode import encode_depth
from datamodules.errors import DataError, counted
from datamodules.files import write_atomically
from models.spaces import box_sides
from renderers.cameras import Camera, z_to_distance
from renderers.rays import camera_rays

MARGIN = 1.02
"""Factor on the sides, for surfaces that no view shows."""


def unproject(views: ObjectViews) -> Tensor:
    """World points (V, H, W, 3) of all pixels, those of the camera where there is no depth."""
    side = views.mask.shape[-1]
    rays = camera_rays(views.camera, side, side)
    distance = z_to_distance(views.depth.flatten(1), rays.directions, views.camera)
    return rays.at(distance[..., None])[:, :, 0].unflatten(1, (side, side))


def surface_points(views: ObjectViews) -> Tensor:
    """World points (N, 3) of all pixels that show the object; DataError if there are none."""
    found = unproject(views)[views.mask & (views.depth > 0)]
    if not len(found):
        raise DataError(f"no view of {views.names[0]} has a pixel of the object with depth.")
    return found


def box_size(views: ObjectViews) -> list[float]:
    """Length, width and height of the box around the origin that holds an object."""
    half = MARGIN * surface_points(views).abs().amax(0)
    return [round(float(side), 4) for side in box_sides(2 * half[None])[0]]


def attributes(camera: Camera, index: int, size: list[float]) -> dict[str, object]:
    """What `wild3d shards --attributes` reads of one view."""
    return {
        "camera": {
            "cam2world": camera.cam2world[index].tolist(),
            "intrinsics": camera.intrinsics[index].tolist(),
        },
        "size": size,
    }


def write_known(source: Path, out: Path) -> int:
    """Write attributes/ and depth/ of all photographs of a folder; return of how many objects.

    Raises:
        DataError: the folder is of another format.
    """
    known = read_known_views(source)
    objects = known.objects()
    for names in track(objects, "objects"):
        views = known.read(names, None)
        size = box_size(views)
        for index, image in enumerate(names):
            told = json.dumps(attributes(views.camera, index, size))
            write_atomically(out / "attributes" / f"{image}.json", told)
            millimetres = torch.round(1000 * views.depth[index]).numpy().astype(np.uint16)
            write_atomically(out / "depth" / f"{image}.png", encode_depth(millimetres))
    return len(objects)


def main() -> None:
    """Write both folders."""
    name = "python -m benchmarks.lowpoly_attributes"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder with cameras.json")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    try:
        print(f"{counted(write_known(given.source, given.out), 'object')} in {given.out}")
    except DataError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
