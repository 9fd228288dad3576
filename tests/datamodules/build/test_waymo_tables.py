"""Parquet files that are damaged, lack columns or have others, and rows asked for in any order."""

import builtins
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from waymo_files import Changes, crop_row, schema_of, write_segment

from datamodules.build.waymo.schema import (
    AUTO_LABEL,
    CAMERA_SENSOR,
    LIDAR_BOX,
    LIDAR_SENSOR,
    OF_CROP,
    POINTS,
    RAY,
    STATS,
    Component,
)
from datamodules.build.waymo.tables import RowError, Table, positions
from datamodules.errors import DataError

ROWS = [crop_row(number, 10 + number, 12) for number in range(9)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    values = {("lidar_box", 3, "type"): None, ("stats", 2, "weather"): None}
    write_segment(folder, ROWS, changes=Changes(values=values), group=4)
    return folder


def table(root: Path, component: Component) -> Table:
    return Table(component.path(root, "vehicle") / "seg_a.parquet", component)


@pytest.mark.parametrize("order", [range(9), [8, 0, 7, 7, 3, 1, 2, 5, 4, 6], [3, 2, 1, 0]])
def test_rows_come_in_any_order(root: Path, order) -> None:
    rays = table(root, RAY)
    for number in order:
        found = rays.row(number).tensor("ray_direction", 3)
        assert (found == ROWS[number].directions).all()
    assert rays.groups_of(np.array([0, 3, 4, 8, -1])).tolist() == [0, 0, 1, 2, -1]


def test_columns_of_numbers_and_texts_have_their_nulls(root: Path) -> None:
    types = table(root, LIDAR_BOX).floats(LIDAR_BOX.full("type"))
    assert np.isnan(types).tolist() == [number == 3 for number in range(9)]
    assert table(root, STATS).texts(STATS.full("weather"))[1:4] == ["Sunny", None, "Sunny"]


@pytest.mark.parametrize("kind", [pa.list_(pa.int32()), pa.list_(pa.int32(), 2)])
def test_an_empty_or_null_list_has_no_first_number(
    root: Path, tmp_path: Path, kind: pa.DataType
) -> None:
    found = pq.read_table(LIDAR_SENSOR.path(root, "vehicle") / "seg_a.parquet")
    shapes = [[7, 3], None if pa.types.is_fixed_size_list(kind) else [], None] * 3
    name = LIDAR_SENSOR.full(POINTS)
    column = found.column_names.index(name)
    pq.write_table(found.set_column(column, name, pa.array(shapes, kind)), tmp_path / "a.parquet")
    numbers = Table(tmp_path / "a.parquet", LIDAR_SENSOR).floats(name)
    assert np.nan_to_num(numbers, nan=-1).tolist() == [7, -1, -1] * 3


def test_keys_are_matched_wherever_their_rows_are(root: Path) -> None:
    keys = table(root, CAMERA_SENSOR).keys(OF_CROP)
    assert keys.to_pylist()[0] == ROWS[0].key
    wanted = pa.array([ROWS[5].key, "another", None, ROWS[1].key])
    assert positions(wanted, keys).tolist() == [5, -1, -1, 1]


def rewritten(root: Path, tmp_path: Path, change) -> Path:
    """The labels' file, changed."""
    found = pq.read_table(AUTO_LABEL.path(root, "vehicle") / "seg_a.parquet")
    pq.write_table(change(found), tmp_path / "labels.parquet")
    return tmp_path / "labels.parquet"


OBJECT_MASK = AUTO_LABEL.full("object_mask")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda t: t.drop([OBJECT_MASK]),
            rf"has no column \[{AUTO_LABEL.tag}\].object_mask",
        ),
        (lambda t: t.drop(["key.camera_name"]), "no column key.camera_name"),
        (lambda t: t.append_column(OBJECT_MASK, t[OBJECT_MASK]), "object_mask, or two"),
        (
            lambda t: t.set_column(6, OBJECT_MASK, pa.array([1.5] * 9)),
            "has double in column .*object_mask, it must hold bytes",
        ),
        (
            lambda t: t.set_column(3, "key.camera_name", pa.array(["front"] * 9)),
            "has string in column key.camera_name, it must hold number",
        ),
    ],
)
def test_another_schema_is_told_with_file_and_column(root, tmp_path, change, sentence) -> None:
    path = rewritten(root, tmp_path, change)
    with pytest.raises(DataError, match=rf"^{path} .*{sentence}"):
        Table(path, AUTO_LABEL)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_what_is_no_parquet_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path} cannot be read \(.*\): download it anew\.$"):
        Table(path, AUTO_LABEL)


def test_a_damaged_page_is_told_with_its_file(root: Path, tmp_path: Path) -> None:
    whole = bytearray((RAY.path(root, "vehicle") / "seg_a.parquet").read_bytes())
    whole[200:4000] = bytes(3800)
    path = tmp_path / "x.parquet"
    path.write_bytes(whole)
    rays = Table(path, RAY)
    with pytest.raises(DataError, match=rf"^{path} cannot be read"):
        list(map(rays.row, range(9)))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Table(tmp_path, AUTO_LABEL)


def test_nulls_and_other_shapes_in_a_row_are_told(tmp_path: Path) -> None:
    values = {
        ("ray", 0, "ray_origin.values"): None,
        ("ray", 1, "ray_origin.values"): [1.0, None],
        ("ray", 2, "ray_origin.shape"): [2, 2, 2],
        ("ray", 3, "ray_origin.shape"): [-1, -10, 36],
    }
    write_segment(tmp_path, ROWS, changes=Changes(values=values))
    rays = table(tmp_path, RAY)
    for number, reason in enumerate(
        ("null ray_origin.values", "null in ray_origin.values", "another shape", "another shape")
    ):
        with pytest.raises(RowError, match=reason):
            rays.row(number).tensor("ray_origin", 3)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(schema_of("auto_label").empty_table(), path)
    empty = Table(path, AUTO_LABEL)
    assert len(empty.keys(OF_CROP)) == 0
    assert empty.group_rows.sum() == 0


def test_without_pyarrow_the_remedy_is_told(root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r"not installed: pip install wild3d\[waymo\]"):
        table(root, RAY)


def test_the_command_is_imported_without_pyarrow() -> None:
    code = "import sys, datamodules.build.waymo; sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
