"""Parts of an evaluation: alone, among processes, interrupted."""

from pathlib import Path

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.evaluation.feature_network import Features
from lightning_modules.evaluation.measures import Measures
from lightning_modules.evaluation.parts import BATCHES, Part, Parts
from lightning_modules.inference.processes import Place

BATCH = 2
COUNTS = ((37, 5), (18,))


def measured(part: Part, rows: range) -> Measures:
    """Figures that say which scene it is."""
    row = torch.tensor(list(rows), dtype=torch.float64)
    value = 1000 * part.checkpoint + 100 * part.repeat + row
    features = Features(value.float()[:, None], torch.zeros(len(rows), 0))
    rotations = torch.eye(3).expand(len(rows), 3, 3)
    nothing, clouds = torch.zeros(len(rows), 0), torch.zeros(len(rows), 0, 6)
    label = torch.full((len(rows),), part.repeat)
    figures = {"nfs": value}
    return Measures(label, features, Features.none(0), figures, rotations, nothing, clouds, nothing)


def parts_in(folder: Path, made: str = "x") -> Parts:
    return Parts.beside(folder / "out.json", {"made": made}, COUNTS, BATCH)


def figures(parts: Parts) -> list[list[float]]:
    return [parts.read(c, r).figures["nfs"].tolist() for c, r in ((0, 0), (0, 1), (1, 0))]


def test_every_scene_is_measured_once_in_order(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    assert [len(part.rows) for part in parts.all] == [16, 16, 5, 5, 16, 2]
    assert BATCHES * BATCH == 16
    assert parts.measure(Place(), measured)
    assert figures(parts)[0] == list(range(37))
    assert figures(parts)[2] == [1000.0 + row for row in range(18)]
    whole = parts.read(0, 1)
    assert (len(whole), whole.labels.tolist()) == (5, [1] * 5)
    parts.remove()
    assert not list(tmp_path.iterdir())


def test_processes_share_the_parts_and_the_last_one_has_them_all(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    asked: list[list[tuple[int, int, int]]] = [[], [], []]

    def measuring(rank: int) -> bool:
        def measure(part: Part, rows: range) -> Measures:
            asked[rank].append((part.checkpoint, part.repeat, rows.start))
            return measured(part, rows)

        return parts.measure(Place(rank, 3, rank), measure)

    assert [measuring(rank) for rank in (2, 0, 1)] == [False, False, True]
    every = [batch for of in asked for batch in of]
    assert len(set(every)) == len(every) == 19 + 3 + 9
    alone = parts_in(tmp_path / "alone")
    (tmp_path / "alone").mkdir()
    alone.measure(Place(), measured)
    assert figures(parts) == figures(alone)


def test_a_process_without_parts_leaves_nothing_behind(tmp_path: Path) -> None:
    parts, late = parts_in(tmp_path), Place(6, 7, 6)
    assert not any(parts.measure(Place(rank, 7, rank), measured) for rank in range(5))
    assert parts.measure(Place(5, 7, 5), measured)
    parts.remove()
    assert not parts.measure(late, measured)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_evaluation_goes_on_and_another_one_begins_anew(tmp_path: Path) -> None:
    parts, calls = parts_in(tmp_path), list[int]()

    def killed(part: Part, rows: range) -> Measures:
        calls.append(rows.start)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return measured(part, rows)

    with pytest.raises(KeyboardInterrupt):
        parts.measure(Place(), killed)
    assert parts_in(tmp_path).measure(Place(), lambda p, r: (calls.append(-1), measured(p, r))[1])
    assert calls.count(-1) == 31 - 8  # one part of eight batches was there
    assert figures(parts)[0] == list(range(37))
    other = parts_in(tmp_path, "y")
    assert other.folder != parts.folder
    assert not other.folder.exists()


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    parts.measure(Place(), measured)
    (parts.folder / "0-1-0.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"0-1-0.npz can't be read as .npz"):
        parts.read(0, 1)
