"""Surfaces of scenes against true shapes, all moved to the middle and scaled to one size."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.build.keys import make_key
from datamodules.errors import DataError
from datamodules.rows import SplitRows
from lightning_modules.evaluation.point_sets import (
    PointCloud,
    chamfer_distances,
    coverage,
    minimum_matching_distance,
    normal_consistency,
)
from lightning_modules.evaluation.shapes import Shape, mesh_cloud, normalised, read_shapes
from renderers.mesh import Mesh


@dataclass(frozen=True)
class TrueShapes:
    """True shapes, moved and scaled as of `normalised`; by the keys of images, too."""

    shapes: tuple[Shape, ...]
    by_key: Mapping[str, Shape]

    @staticmethod
    def read(folder: str, points: int, seed: int) -> TrueShapes:
        """Those of a folder; see `read_shapes` for the errors."""
        stored = read_shapes(Path(folder), points, seed)
        found = tuple(Shape(s.name, s.label, normalised(s.cloud)) for s in stored)
        with_class = {make_key(shape.label or "", shape.name): shape for shape in found}
        return TrueShapes(found, {shape.name: shape for shape in found} | with_class)

    @property
    def have_normals(self) -> bool:
        """Whether all have normals."""
        return all(shape.cloud.normals is not None for shape in self.shapes)

    @property
    def hash(self) -> str:
        """SHA-256 in hex of their names and points."""
        found = hashlib.sha256()
        for shape in self.shapes:
            found.update(f"{shape.label}/{shape.name}".encode())
            found.update(shape.cloud.points.numpy().tobytes())
        return found.hexdigest()

    def check(self, photographs: SplitRows, reconstructs: bool) -> None:
        """DataError if one is missing: of a class of the photographs, or, where these are
        reconstructed, of one of them."""
        if reconstructs:
            for key in photographs.records.keys:
                self.of_image(key)
            return
        names = photographs.manifest.classes
        for label in photographs.records.label.unique().tolist():
            if 0 <= label < len(names) and not self.of_class(names[label]):
                raise DataError(
                    f"--shapes has no shape of class {names[label]}: put some into a folder of "
                    "that name, or leave shapes out of --metrics."
                )

    def of_class(self, name: str | None) -> list[Shape]:
        """Shapes of a class and those of none; of all without a name."""
        return [s for s in self.shapes if name is None or s.label in (None, name)]

    def of_image(self, key: str) -> Shape:
        """The shape of the object of an image: that of its key, with the class or without it, with
        the number of a view at its end or without it.

        Raises:
            DataError: there is none.
        """
        for name in (key, re.sub("-[0-9]+$", "", key)):
            if name in self.by_key:
                return self.by_key[name]
        raise DataError(
            f"--shapes has no shape of image {key}: name shapes like images, or like these without "
            "the number of a view."
        )


def surface_clouds(meshes: Sequence[Mesh | None], points: int, seeds: Sequence[int]) -> Tensor:
    """Points and normals (B, P, 6) on the surfaces of scenes, moved and scaled as of `normalised`;
    NaN of scenes without a surface."""
    found = torch.full((len(meshes), points, 6), torch.nan)
    for index, (mesh, seed) in enumerate(zip(meshes, seeds, strict=True)):
        if mesh is None:
            continue
        cloud = normalised(mesh_cloud(mesh, points, seed))
        assert cloud.normals is not None  # meshes have them
        found[index] = torch.cat([cloud.points, cloud.normals], 1)
    return found


def own_shape_figures(clouds: Tensor, keys: Sequence[str], shapes: TrueShapes) -> dict[str, Tensor]:
    """Chamfer distance and, where all true shapes have normals, normal consistency (B,) float64 of
    clouds (B, P, 6) to those of the images they were made of, NaN where there is no cloud."""
    figures = torch.full((2, len(keys)), torch.nan, dtype=torch.float64)
    for index, key in enumerate(keys):
        if clouds[index].isfinite().all():
            mine, true = cloud_of(clouds[index]), shapes.of_image(key).cloud
            figures[0, index] = chamfer_distances(mine.points[None], true.points[None])[0, 0]
            if shapes.have_normals:
                figures[1, index] = normal_consistency(mine, true)
    chamfer = {"chamfer": figures[0]}
    return chamfer | ({"normal_consistency": figures[1]} if shapes.have_normals else {})


def set_figures(
    clouds: Tensor, labels: Tensor, names: Sequence[str], shapes: TrueShapes
) -> dict[str, float]:
    """Coverage and matching distance of true shapes by clouds (N, P, 6) of their classes, labels
    (N,), and where all have normals the consistency of those of the matches, over all shapes of the
    classes that were drawn. Where no scene of a class has a surface none of its shapes is covered,
    and their distance is NaN.
    """
    covered, matched, consistent = list[float](), list[float](), list[float]()
    for label in labels.unique().tolist():
        name = names[label] if 0 <= label < len(names) else None
        true = shapes.of_class(name)
        mine = clouds[(labels == label) & clouds.isfinite().all(-1).all(-1)]
        if not len(mine):  # it is too late to refuse this
            covered += [0.0] * len(true)
            matched += [math.nan] * len(true)
            continue
        distances = chamfer_distances(
            mine[..., :3], torch.stack([shape.cloud.points for shape in true])
        )
        covered += [coverage(distances)] * len(true)
        matched += [minimum_matching_distance(distances)] * len(true)
        for number, nearest in enumerate(distances.argmin(0).tolist()):
            if shapes.have_normals:
                match = cloud_of(mine[nearest])
                consistent.append(normal_consistency(match, true[number].cloud))
    found = {"coverage": _mean(covered), "mmd": _mean(matched)}
    if not shapes.have_normals:
        return found
    return found | {"normal_consistency": _mean(consistent) if consistent else math.nan}


def cloud_of(values: Tensor) -> PointCloud:
    """A cloud out of points and normals (P, 6)."""
    return PointCloud(values[:, :3], values[:, 3:])


def rotated(clouds: Tensor, labels: Tensor, rotations: Mapping[int, Tensor]) -> Tensor:
    """Clouds (N, P, 6) turned by the rotation (3, 3) of their label (N,) where there is one, and
    moved and scaled again."""
    found = clouds.clone()
    for index, label in enumerate(labels.tolist()):
        if label in rotations and clouds[index].isfinite().all():
            rotation = rotations[label].to(clouds)
            points, normals = (part @ rotation.T for part in clouds[index].split(3, 1))
            points = normalised(PointCloud(points)).points
            found[index] = torch.cat([points, normals], 1)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
