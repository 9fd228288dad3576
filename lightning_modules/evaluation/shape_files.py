"""Files of one shape: meshes in common formats, and points of its surface.

Arrays are read without unpickling, meshes without the files that they refer to.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.errors import DataError, first_line
from datamodules.files import ONLY, load_arrays
from lightning_modules.evaluation.point_sets import PointCloud
from renderers.mesh import Mesh

SUFFIXES = (".ply", ".obj", ".glb", ".off", ".stl", ".npy", ".npz")
LEAST_POINTS = 16
"""Of a cloud, fewer are no surface."""

_PLY_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_TEXT = ""
_ORDERS = {"ascii": _TEXT, "binary_little_endian": "<", "binary_big_endian": ">"}
_AXES, _NORMALS = ("x", "y", "z"), ("nx", "ny", "nz")


@dataclass(frozen=True)
class _Element:
    """Part of a PLY file: how many of a name, and the types of their properties by name."""

    name: str
    count: int
    properties: dict[str, str]


def read_shape(path: Path) -> Mesh | PointCloud:
    """Read a mesh, or all points of a cloud: .npy is (P, 3), or (P, 6) with normals; .npz has
    `points` and optionally `normals`; .ply has faces, or vertices alone, with nx, ny, nz or
    without. Normals are made unit length.

    Raises:
        DataError: it is damaged, has no area, or fewer than `LEAST_POINTS` points.
    """
    try:
        if path.suffix.lower() in (".npy", ".npz"):
            return _from_arrays(load_arrays(path, "the folder of shapes"))
        content = path.read_bytes()
        points = _ply_vertices(content) if path.suffix.lower() == ".ply" else None
        return _read_mesh(content, path.suffix.lower()) if points is None else _from_ply(points)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a shape: {first_line(error)}.") from error


def cloud_bytes(cloud: PointCloud) -> bytes:
    """Encode a cloud as the content of a binary .ply file, with its normals if it has any."""
    parts = [cloud.points] if cloud.normals is None else [cloud.points, cloud.normals]
    names = (*_AXES, *_NORMALS)[: 3 * len(parts)]
    values = torch.cat(parts, 1).float().cpu().numpy().astype("<f4")
    properties = [f"property float {name}" for name in names]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(values)}"]
    return "\n".join([*header, *properties, "end_header", ""]).encode() + values.tobytes()


def _read_mesh(content: bytes, suffix: str) -> Mesh:
    import trimesh

    try:
        found: Any = trimesh.load(io.BytesIO(content), suffix[1:], force="mesh", process=False)
        vertices, faces = np.asarray(found.vertices), np.asarray(found.faces)
    except Exception as error:  # a damaged file raises whatever its parsers run into
        raise ValueError(f"it is damaged or has no faces ({first_line(error)})") from error
    if not len(faces) or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError("it has no faces")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"its faces name vertex {faces.max()} of {len(vertices)}")
    return Mesh(_floats(vertices, "vertices"), faces.astype(np.int64))


def _from_arrays(arrays: dict[str, np.ndarray]) -> PointCloud:
    if ONLY not in arrays:
        if "points" not in arrays:
            raise ValueError("it has no array `points`")
        return _cloud(arrays["points"], arrays.get("normals"))
    values = arrays[ONLY]
    if values.ndim != 2 or values.shape[1] not in (3, 6):
        raise ValueError(f"it is {values.shape}, expected (P, 3), or (P, 6) with normals")
    return _cloud(values[:, :3], values[:, 3:] if values.shape[1] == 6 else None)


def _from_ply(vertices: dict[str, np.ndarray]) -> PointCloud:
    if not set(_AXES) <= set(vertices):
        raise ValueError("its vertices have no x, y and z")
    points, normals = (
        np.stack([vertices[name] for name in names], 1) if set(names) <= set(vertices) else None
        for names in (_AXES, _NORMALS)
    )
    assert points is not None
    return _cloud(points, normals)


def _ply_vertices(content: bytes) -> dict[str, np.ndarray] | None:
    """The properties of the vertices of a .ply without faces, by name; None if it has faces."""
    header, _, body = content.partition(b"end_header")
    layout, elements = _ply_elements(header.decode("ascii", "replace").splitlines())
    if any(element.count for element in elements if element.name in ("face", "tristrips")):
        return None
    if layout not in _ORDERS or not elements or elements[0].name != "vertex":
        raise ValueError("its header is not that of a PLY file with vertices first")
    vertex, body = elements[0], body.partition(b"\n")[2]
    if unknown := set(vertex.properties.values()) - set(_PLY_TYPES):
        raise ValueError(f"its vertices have a property of type {min(unknown)}")
    return _ply_columns(vertex, _ORDERS[layout], body)


def _ply_columns(vertex: _Element, order: str, body: bytes) -> dict[str, np.ndarray]:
    too_short = f"it has fewer than the {vertex.count} vertices that it announces"
    if order == _TEXT:
        rows = [line.split() for line in body.decode("ascii", "replace").splitlines()]
        rows = rows[: vertex.count]
        if len(rows) < vertex.count or any(len(row) != len(vertex.properties) for row in rows):
            raise ValueError(too_short)
        columns = np.array(rows, np.float64).reshape(vertex.count, -1).T
        return dict(zip(vertex.properties, columns, strict=True))
    kinds = [(name, order + _PLY_TYPES[kind]) for name, kind in vertex.properties.items()]
    dtype = np.dtype(kinds)
    if len(body) < vertex.count * dtype.itemsize:
        raise ValueError(too_short)
    values = np.frombuffer(body, dtype, vertex.count)
    return {name: values[name] for name in vertex.properties}


def _ply_elements(lines: Sequence[str]) -> tuple[str, list[_Element]]:
    """Layout and elements that the lines of a header announce."""
    layout, elements = "", []
    for words in map(str.split, lines):
        match words:
            case ["format", layout, *_]:
                pass
            case ["element", name, count] if count.isdecimal():
                elements.append(_Element(name, int(count), {}))
            case ["property", kind, *_, name] if elements:
                elements[-1].properties[name] = kind
    return layout, elements


def _cloud(points: np.ndarray, normals: np.ndarray | None) -> PointCloud:
    found = torch.from_numpy(_floats(points, "points"))
    if len(found) < LEAST_POINTS:
        raise ValueError(f"it has {len(found)} points, at least {LEAST_POINTS} are needed")
    if normals is None:
        return PointCloud(found)
    directions = torch.from_numpy(_floats(normals, "normals"))
    if directions.shape != found.shape:
        raise ValueError(f"it has {len(found)} points and {len(directions)} normals")
    lengths = directions.norm(dim=1, keepdim=True)
    if not (lengths > 0).all():
        raise ValueError("it has a normal without length")
    return PointCloud(found, directions / lengths)


def _floats(values: np.ndarray, what: str) -> np.ndarray:
    """Values (N, 3) as float32."""
    if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "iuf":
        raise ValueError(f"its {what} are {values.shape} {values.dtype}, expected numbers (N, 3)")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"its {what} hold a number that is not finite")
    return found
