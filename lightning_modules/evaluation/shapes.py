"""Shapes as evenly scattered points of their surfaces: read from files, or taken of meshes.

References are to lie in the world of the samples that they are compared with: +y is up, and the
front of objects in boxes is towards +x, see `models.spaces.box_sides`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from datamodules.errors import DataError, check_number
from datamodules.picture import is_hidden
from lightning_modules.evaluation.point_sets import PointCloud
from lightning_modules.evaluation.shape_files import LEAST_POINTS, SUFFIXES, read_shape
from renderers.mesh import Mesh, to_trimesh


@dataclass(frozen=True)
class Shape:
    """A shape, the stem of its file, and the name of its class, None if it is of none."""

    name: str
    label: str | None
    cloud: PointCloud


def read_shapes(folder: Path, points: int, seed: int = 0) -> list[Shape]:
    """Read the shapes `<class>/<name>` of a folder, and loose ones of no class, sorted by class and
    name; suffixes and arrays as of `shape_files.read_shape`, other files are passed over.

    points: of each. Meshes give as many, at random and evenly by area, with normals; clouds are
    thinned at random, or points repeated. seed: a shape's points depend on it and on the name and
    class of the shape alone.

    Raises:
        DataError: there is no shape, or a file is no shape; points is below 16.
    """
    check_number("points", points, LEAST_POINTS)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}: name that of the reference shapes.")
    shapes = [_read(path, label, points, seed) for label, path in _files(folder)]
    if not shapes:
        raise DataError(
            f"{folder} has no shape: put files <class>/<name> there that end in "
            f"{', '.join(SUFFIXES)}."
        )
    return shapes


def mesh_cloud(mesh: Mesh, points: int, seed: int = 0) -> PointCloud:
    """Points of a mesh, at random and evenly by area of all its components, with the normals of the
    faces they lie in.

    Raises:
        DataError: its surface has no area; points is below 16.
    """
    check_number("points", points, LEAST_POINTS)
    return _scattered(mesh, points, np.random.default_rng(seed))


def normalised(cloud: PointCloud) -> PointCloud:
    """A cloud moved and scaled evenly so that its bounding box, with edges along the axes, has its
    middle in the origin and a longest side of 1.

    Raises:
        DataError: all its points are the same.
    """
    low, high = cloud.points.amin(0), cloud.points.amax(0)
    side = (high - low).max()
    if side <= 0:
        raise DataError("A shape has all its points in one place, and cannot be scaled.")
    return PointCloud((cloud.points - (low + high) / 2) / side, cloud.normals)


def _files(folder: Path) -> Iterator[tuple[str | None, Path]]:
    """Class and path of every shape."""
    for entry in sorted(folder.iterdir()):
        inside = sorted(entry.iterdir()) if entry.is_dir() and not is_hidden(entry.name) else []
        for path in inside or [entry]:
            if path.suffix.lower() in SUFFIXES and path.is_file() and not is_hidden(path.name):
                yield entry.name if inside else None, path


def _read(path: Path, label: str | None, points: int, seed: int) -> Shape:
    rng = np.random.default_rng((seed, zlib.crc32(f"{label or ''}/{path.stem}".encode())))
    found = read_shape(path)
    try:
        if isinstance(found, Mesh):
            return Shape(path.stem, label, _scattered(found, points, rng))
        return Shape(path.stem, label, _thinned(found, points, rng))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _scattered(mesh: Mesh, count: int, rng: np.random.Generator) -> PointCloud:
    from trimesh.sample import sample_surface

    solid = to_trimesh(mesh)
    if not 0 < solid.area < np.inf:
        raise DataError(f"The surface of a mesh has area {solid.area:g}: leave it out.")
    points, faces = sample_surface(solid, count, seed=rng)[:2]
    corners = mesh.vertices[mesh.faces[faces]].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return PointCloud(*(torch.from_numpy(part.astype(np.float32)) for part in (points, normals)))


def _thinned(cloud: PointCloud, count: int, rng: np.random.Generator) -> PointCloud:
    there = len(cloud.points)
    rounds = -(-count // there)
    chosen = torch.from_numpy(np.concatenate([rng.permutation(there) for _ in range(rounds)]))
    normals = None if cloud.normals is None else cloud.normals[chosen[:count]]
    return PointCloud(cloud.points[chosen[:count]], normals)
