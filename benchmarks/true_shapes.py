"""`python -m benchmarks.true_shapes`: true points of the surfaces of objects, with normals.

Of the objects of a folder of known views, see `benchmarks.known_views`, or of those of the embedded
data set, rendered once more from all around, without what hides them. Writes binary
<class>/<object>.ply in the frame of the object's box: +y is up, and the front towards +x. Points
are at random and even by area of all that any view shows: insides are there as far as one sees into
them. The ground of the embedded data is left out, so that undersides are there, too.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from scipy.spatial import cKDTree

from benchmarks.depth_normals import view_surface
from benchmarks.known_views import ObjectViews, read_known_views
from datamodules.build.shapeworld.renderer import render
from datamodules.build.shapeworld.samples import in_box_frame, key_of, scene_of_key
from datamodules.build.shapeworld.sampling import FOV_DEGREES, RADIUS
from datamodules.build.shapeworld.scene import Scene, Wall
from datamodules.errors import DataError, check_number, counted
from datamodules.files import write_atomically
from datamodules.modalities import MASK_OBJECT
from datamodules.remote import read_manifest
from lightning_modules.evaluation.point_sets import PointCloud
from lightning_modules.evaluation.shape_files import LEAST_POINTS, cloud_bytes
from renderers.cameras import Camera, orbit_camera, sphere_angles

DIRECTIONS = 24
"""Around an object of the embedded data set."""
RESOLUTION = 128
"""Of its views. Its surfaces are known to 2e-4 units: in larger images that would bend normals."""
DEEP = -100.0
"""Height of a ground that is in nobody's way."""


NEIGHBOURS = 16
"""Points around one whose distance says how dense they are there."""


def even_points(views: ObjectViews, count: int, seed: int) -> PointCloud:
    """Points at random, even by area of all that any view shows, with outward normals.

    A pixel stands for the more area the farther away and the more slanted its surface is, and for
    the less the more views show it: it is drawn by the area of the disc around it that reaches its
    `NEIGHBOURS`-th nearest among all pixels.

    Raises:
        DataError: the views have fewer pixels with a normal.
    """
    surface = view_surface(views)
    points, normals = surface.points, surface.normals
    if normals is None or len(points) < max(count, NEIGHBOURS):
        raise DataError(
            f"The views of {views.names[0]} have {len(points)} pixels with a normal, fewer than "
            f"--points, {count}."
        )
    distances, _ = cKDTree(points).query(points, NEIGHBOURS, workers=torch.get_num_threads())
    chosen = _drawn(distances[:, -1] ** 2, count, np.random.default_rng(seed))
    return PointCloud(points[chosen], normals[chosen])


def _drawn(weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (count,), each as often as its share of the weights (N,), rounded down or up."""
    order = rng.permutation(len(weights))
    until = np.cumsum(weights[order])
    at = (np.arange(count) + rng.random()) / count
    return order[np.searchsorted(until / until[-1], at, side="right").clip(max=len(order) - 1)]


def scene_views(key: str, scene: Scene) -> ObjectViews:
    """Views of the object of a scene of the embedded data set from all around, alone."""
    nothing = replace(scene.background, ground_height=DEEP, kind=Wall.NONE)
    alone = replace(scene, occluders=(), background=nothing)
    camera = around(scene.centre)
    views = [render(alone, camera[index], RESOLUTION) for index in range(DIRECTIONS)]
    mask = torch.from_numpy(np.stack([view.mask for view in views])) == MASK_OBJECT
    depth = torch.from_numpy(np.stack([view.z_depth for view in views]))
    poses = [in_box_frame(scene, camera[index]) for index in range(DIRECTIONS)]
    return ObjectViews(
        names=(key,),
        label=scene.class_name,
        image=torch.from_numpy(np.stack([view.rgb for view in views])).movedim(-1, 1) / 255,
        mask=mask,
        depth=torch.where(mask, depth, 0),
        camera=Camera(torch.from_numpy(np.stack(poses)), camera.intrinsics),
    )


def around(target: tuple[float, float, float]) -> Camera:
    """Cameras (V,) evenly on a sphere around a point: a spiral from below to above, each the golden
    angle on from the one before."""
    index = torch.arange(DIRECTIONS)
    turns = torch.frac(index * (math.sqrt(5) - 1) / 2)
    yaw, pitch = sphere_angles(torch.stack([turns, (index + 0.5) / DIRECTIONS], 1))
    return orbit_camera(yaw, pitch, RADIUS, FOV_DEGREES, target)


def known_objects(source: Path) -> dict[str, Callable[[], ObjectViews]]:
    """How to get the views of every object of a folder of known views, by class/object.

    Raises:
        DataError: the folder is of another format.
    """
    known = read_known_views(source)
    return {
        names[0].rpartition("-")[0]: partial(known.read, names, None) for names in known.objects()
    }


def embedded_objects(root: str, split: str) -> dict[str, Callable[[], ObjectViews]]:
    """How to get views of the object behind every image of a split, by class/key.

    Raises:
        DataError: the root is not of `wild3d shapeworld`, or has no such split.
    """
    manifest = read_manifest(root)
    seed = manifest.parameters.get("seed")
    if manifest.parameters.get("tool") != "shapeworld" or not isinstance(seed, int):
        raise DataError(f"{root} was not written by `wild3d shapeworld`: no truth is known.")
    if split not in manifest.splits:
        raise DataError(
            f"--split is {split}, {root} has only {', '.join(sorted(manifest.splits))}."
        )
    keys = [key_of(split, index) for index in range(manifest.samples(split))]
    scenes = {key: scene_of_key(seed, key) for key in keys}
    return {
        f"{scene.class_name}/{key}": partial(scene_views, key, scene)
        for key, scene in scenes.items()
    }


def write_shapes(
    objects: Mapping[str, Callable[[], ObjectViews]], out: Path, points: int, seed: int
) -> None:
    """Write <class>/<object>.ply of every object.

    Raises:
        DataError: a file of its views cannot be used, or they show too little of it.
    """
    for name in track(objects, "objects"):
        cloud = even_points(objects[name](), points, seed)
        write_atomically(out / f"{name}.ply", cloud_bytes(cloud))


def main() -> None:
    """Write the shapes."""
    name = "python -m benchmarks.true_shapes"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--source", type=Path, help="folder with cameras.json")
    where.add_argument("--root", help="shards of the embedded data set")
    parser.add_argument("--split", default="val", help="of --root")
    parser.add_argument("--objects", type=int, help="only the first so many")
    parser.add_argument("--points", type=int, default=4096, help="of each object")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of points")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    try:
        check_number("--points", given.points, LEAST_POINTS)
        check_number("--objects", 1 if given.objects is None else given.objects, 1)
        check_number("--seed", given.seed, 0, 2**32 - 1)
        found = (
            known_objects(given.source)
            if given.source
            else embedded_objects(given.root, given.split)
        )
        objects = dict(list(found.items())[: given.objects])
        write_shapes(objects, given.out, given.points, given.seed)
    except DataError as error:
        parser.exit(2, f"{error}\n")
    print(f"{counted(len(objects), 'object')} in {given.out}")


if __name__ == "__main__":
    main()
