"""Parquet files of a component: whole columns of small values, or rows one after the other.

The only module that imports pyarrow, and only when a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from datamodules.build.waymo.schema import ColumnType, Component
from datamodules.errors import DataError, first_line

_BATCH_ROWS = 16  # rows that are unpacked at a time


class RowError(ValueError):
    """Why a row cannot become a sample; what differs between rows is in brackets at the end."""


def arrow() -> ModuleType:
    """pyarrow with the parts used here; DataError if it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            "Waymo's files are read by pyarrow, which is not installed: pip install wild3d[waymo]."
        ) from error
    module: ModuleType = pa
    return module


class Row:
    """One row of a component: values by column, RowError for a null or a thing of another form."""

    def __init__(self, component: Component, batch: Any, offset: int) -> None:
        self._component, self._batch, self._offset = component, batch, offset

    def _value(self, name: str) -> Any:
        value = self._batch.column(self._component.full(name))[self._offset]
        if not value.is_valid:
            raise RowError(f"null {name}")
        return value

    def content(self, name: str) -> memoryview:
        """Bytes of a binary column."""
        return memoryview(self._value(name).as_buffer())

    def numbers(self, name: str) -> np.ndarray:
        """Numbers (n,) of a list column, without a copy."""
        values = self._value(name).values
        if values is None or values.null_count:
            raise RowError(f"null in {name}")
        found: np.ndarray = values.to_numpy(zero_copy_only=False)
        return found

    def tensor(self, name: str, rank: int) -> np.ndarray:
        """Numbers of the two columns of a tensor, of its shape."""
        values, shape = self.numbers(f"{name}.values"), self.numbers(f"{name}.shape").tolist()
        if len(shape) != rank or min(shape) < 0 or np.prod(shape, dtype=object) != values.size:
            raise RowError(f"{name} has another shape than values ({shape}, {values.size} values)")
        return values.reshape(shape)


class Table:
    """One parquet file.

    Raises DataError, which names it, if it cannot be read, or lacks a column or has one of another
    type; in every method.
    """

    def __init__(self, path: Path, component: Component) -> None:
        self.path, self.component = path, component
        with self._told():
            self._file = arrow().parquet.ParquetFile(path)
            schema, metadata = self._file.schema_arrow, self._file.metadata
            groups = range(metadata.num_row_groups)
            sizes = [metadata.row_group(group).num_rows for group in groups]
        self._ends = np.cumsum([0, *sizes])[1:] if sizes else np.zeros(0, np.int64)
        self.group_rows = np.array(sizes, np.int64)
        for name, kind in component.types().items():
            self._check(schema, name, kind)
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._group = -1
        self._first = self._end = 0  # rows of the group that `_batch` holds
        self._whole = False

    def groups_of(self, rows: np.ndarray) -> np.ndarray:
        """Row groups (n,) of rows (n,) of the file; -1 for row -1."""
        return np.where(rows < 0, -1, np.searchsorted(self._ends, rows, side="right"))

    def keys(self, columns: Sequence[str]) -> Any:
        """Keys of all rows as one array of texts, e.g. segment/timestamp/object; null where one
        of them is."""
        pa = arrow()
        parts = [pa.compute.cast(column, pa.string()) for column in self._columns(columns)]
        joined = reduce(lambda a, b: pa.compute.binary_join_element_wise(a, b, "/"), parts)
        return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined

    def floats(self, name: str) -> np.ndarray:
        """A column of numbers (n,), or the first numbers of one of lists, as float64, NaN where it
        is null or a list empty."""
        compute = arrow().compute
        (column,) = self._columns([name])
        if _is_list(column.type):
            first = compute.list_slice(column, 0, 1, return_fixed_size_list=True)
            column = compute.list_element(first, 0)
        found: np.ndarray = compute.cast(column, "float64").to_numpy()
        return found

    def texts(self, name: str) -> list[str | None]:
        """A column of texts, None where it is null."""
        (column,) = self._columns([name])
        found: list[str | None] = column.to_pylist()
        return found

    def row(self, row: int) -> Row:
        """One row; at most its row group is in memory. Rows are best asked for in order."""
        group = int(np.searchsorted(self._ends, row, side="right"))
        offset = row - int(self._ends[group] - self.group_rows[group])
        if group != self._group or offset < self._first:
            # Whoever steps back in a group will do so again: it is kept whole then.
            self._whole = group == self._group
            self._begin(group)
        with self._told():
            while offset >= self._end:
                self._batch = next(self._batches)
                self._first, self._end = self._end, self._end + len(self._batch)
        return Row(self.component, self._batch, offset - self._first)

    def _begin(self, group: int) -> None:
        self._group, self._first, self._end, self._batch = group, 0, 0, None
        with self._told():
            self._batches = self._file.iter_batches(
                batch_size=int(self.group_rows[group]) if self._whole else _BATCH_ROWS,
                row_groups=[group],
                columns=list(self.component.types()),
                use_threads=False,
            )

    def _columns(self, names: Sequence[str]) -> list[Any]:
        with self._told():
            table = self._file.read(columns=list(names), use_threads=False)
        return [table.column(name) for name in names]

    def _check(self, schema: Any, name: str, kind: ColumnType) -> None:
        if schema.names.count(name) != 1:
            raise DataError(f"{self.path} has no column {name}, or two: download it anew.")
        found = schema.field(name).type
        if not _is_of(found, kind):
            raise DataError(f"{self.path} has {found} in column {name}, it must hold {kind}.")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Damage and what the system refuses, told by the name of the file."""
        try:
            yield
        except (arrow().ArrowException, OSError, StopIteration) as error:
            raise DataError(
                f"{self.path} cannot be read ({first_line(error)}): download it anew."
            ) from error


def _is_of(found: Any, kind: ColumnType) -> bool:
    types = arrow().types
    if kind == "text":
        return bool(types.is_string(found) or types.is_large_string(found))
    if kind == "bytes":
        return bool(types.is_binary(found) or types.is_large_binary(found))
    if kind == "numbers":
        return _is_list(found) and _is_number(found.value_type)
    return _is_number(found)


def _is_list(found: Any) -> bool:
    types = arrow().types
    kinds = types.is_list, types.is_large_list, types.is_fixed_size_list
    return any(is_kind(found) for is_kind in kinds)


def _is_number(found: Any) -> bool:
    types = arrow().types
    return bool(types.is_integer(found) or types.is_floating(found))


def positions(wanted: Any, keys: Any) -> np.ndarray:
    """Row (n,) of each wanted key among keys, -1 where it is not there; the first of equal ones."""
    pa = arrow()
    found = pa.compute.index_in(wanted, value_set=keys, skip_nulls=True)
    rows: np.ndarray = pa.compute.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return rows.astype(np.int64)
