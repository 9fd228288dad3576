"""Whether conditions are recovered from samples: what is measured, and the program."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_boxes import SIDE, save_boxes
from tiny_checkpoints import CLASSES
from tiny_classes import save_classifier
from torch import Tensor

from benchmarks.condition_samples import spread_yaws
from benchmarks.conditions import REAL, main, table
from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_mask
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.modalities import MASK_OBJECT, TIMES_OF_DAY
from lightning_modules.evaluation.condition_figures import (
    Asked,
    Brightness,
    Found,
    class_figures,
    rank_correlation,
    size_figures,
    time_figures,
)
from lightning_modules.evaluation.sample_measures import (
    best_threshold,
    extents,
    luminance,
    told_apart,
)
from models.scenes import Scenes
from models.spaces import ContractedSpace, SceneBoxes
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling

NAN = math.nan


@pytest.mark.parametrize(
    ("asked", "found", "correlation"),
    [
        ([1, 2, 3, 4], [1, 8, 27, 1000], 1),
        ([1, 2, 3, 4], [0, -1, -2, -30], -1),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 1 - 6 * 4 / (5 * 24)),
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5)),
        ([1, NAN, 2, 3, 4], [1, 5, 2, 3, NAN], 1),
        ([1, 2, 3], [7, 7, 7], NAN),
        ([1, 2], [1, NAN], NAN),
        ([], [], NAN),
    ],
)
def test_ranks_correlate_as_their_closed_forms_say(
    asked: list[float], found: list[float], correlation: float
) -> None:
    for pair in ((asked, found), (found, asked)):
        value = rank_correlation(*(torch.tensor(side) for side in pair))
        assert value == pytest.approx(correlation, nan_ok=True)


def block(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """A solid block that fills a share of each side of the cube."""
    inside = (points.abs() < planes[:, :, 0, 0, 0][:, None]).all(-1)
    return 1e4 * inside.float(), torch.zeros_like(points)


def test_extents_are_those_of_blocks() -> None:
    halves = torch.tensor([[0.7, 0.2, 0.4], [0.3, 0.6, 0.5], [1.0, 1.0, 1.0]])
    share = torch.tensor([[0.9, 0.8, 0.7], [0.5, 1.0, 0.6], [0.0, 0.0, 0.0]])
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 40.0)
    planes = share[:, :, None, None, None]
    sampling = RaySampling(64, 0, "distance")
    scenes = Scenes(planes, block, SceneBoxes(halves), sampling, camera)
    found = extents(scenes)
    pixel = 2 * 1.05 * halves[:2].amax(1, keepdim=True) / 48
    assert ((found[:2] - 2 * halves[:2] * share[:2]).abs() <= pixel).all()
    assert found[2].isnan().all()
    with pytest.raises(DataError, match="have no end, so their extents"):
        extents(Scenes(planes, block, ContractedSpace(), sampling, camera))


def test_luminance_is_of_the_pixels_that_show_the_object() -> None:
    rgb = torch.zeros(3, 3, 2, 2)
    rgb[:, 1], rgb[:, :, 0] = 0.5, 1.0
    shown = torch.tensor([[[1, 1], [0, 0]], [[0, 0], [1, 1]], [[0, 0], [0, 0]]]).bool()
    expected = [1, 0.7152 / 2, NAN]
    assert luminance(rgb, shown).tolist() == pytest.approx(expected, nan_ok=True)


def test_the_threshold_is_the_one_that_errs_least() -> None:
    low, high = torch.tensor([0.0, 0.1, 0.2, 0.9]), torch.tensor([0.5, 0.6])
    assert best_threshold(low, high) == pytest.approx(0.35)
    assert told_apart(low, high, 0.35) == pytest.approx((0.75 + 1) / 2)


def test_figures_of_samples_that_are_what_was_asked() -> None:
    time = torch.arange(12) % 3
    size = torch.rand(12, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    asked = Asked(torch.arange(12) % 2, size, time)
    bright = 0.9 - 0.3 * time + torch.arange(12) / 100
    real = Brightness.of(time, bright)
    assert real.ranks.tolist() == [2, 1, 0]
    right = Found(size[:, [0, 2, 1]] ** 2, bright, asked.label)
    assert list(size_figures(asked, right).values()) == pytest.approx([1] * 5)
    found = time_figures(asked, right, real)
    assert found["day told from night"] == 1
    assert found["luminance: rank correlation"] == pytest.approx(0.9428, abs=0.01)
    assert found["day: mean luminance"] == pytest.approx(0.945)
    names = class_figures(asked, right, ("car", "mug"))
    assert names == {
        "mean of classes: called so": 1,
        "car: called so": 1,
        "mug: called so": 1,
    }
    wrong = Found(-right.extent, 1.3 - bright, torch.zeros_like(asked.label))
    assert list(size_figures(asked, wrong).values()) == pytest.approx([-1] * 5)
    assert time_figures(asked, wrong, real)["day told from night"] == 0
    assert class_figures(asked, wrong, ("car", "mug"))["mean of classes: called so"] == 0.5
    with pytest.raises(DataError, match="No photograph is of night: name another"):
        Brightness.of(torch.zeros(3).long() + torch.tensor([0, 1, 1]), torch.ones(3))


def test_samples_are_seen_from_all_sides_alike() -> None:
    yaws = spread_yaws(range(360), math.pi)
    assert torch.histc(yaws, 12, -math.pi, math.pi).tolist() == pytest.approx([30] * 12, abs=1)
    assert spread_yaws([7, 3], math.pi).tolist() == [yaws[7], yaws[3]]
    assert spread_yaws(range(20), 0.5).abs().max() <= 0.5
    assert not spread_yaws(range(20), 0).any()


def test_figures_of_what_was_not_asked_are_in_parentheses() -> None:
    one = {"class": {"called so": 0.5}, "size": {"length": NAN}}
    other = {"class": {"called so": 0.25}, "size": {"length": 0.75}}
    assert table({REAL: one, "size": other, "class + size": other}).splitlines() == [
        f"| | {REAL} | size | class + size |",
        "|---|---|---|---|",
        "| called so | 0.500 | (0.250) | 0.250 |",
        "| length |  | 0.750 | 0.750 |",
    ]


def sample(split: str, number: int) -> EncodedSample:
    """An image of a class of known size at a time of day, the darker the later."""
    rng = np.random.default_rng([number, len(split)])
    pixels = rng.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8) + 80 - 40 * (number % 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    label = number // 3 % 3
    size = [round(float(side), 3) for side in rng.uniform(0.2, 1.2, 3)]
    record: dict[str, Any] = {"label": label, "class": CLASSES[label], "size": size}
    record["time_of_day"] = TIMES_OF_DAY[number % 3]
    mask = np.full((SIDE, SIDE), MASK_OBJECT, np.uint8)
    key, image = f"{split}{number:04d}", buffer.getvalue()
    return EncodedSample(key, image, "png", record, mask_png=encode_mask(mask))


def write_described(root: Path, classes: int = len(CLASSES)) -> str:
    """18 training and 9 validation images of which everything is known."""
    counts = {"train": (18,), "val": (9,)}

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        return (sample(split, number) for number in range(counts[split][shard]))

    build_shards(root, counts, samples, 1, list(CLASSES[:classes]), SIDE, {"tool": "test"})
    return str(root)


def test_the_program_prints_a_table_of_all_sets_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, root = save_boxes(tmp_path), write_described(tmp_path / "shards")
    classifier, out = save_classifier(tmp_path / "classifier.ckpt"), tmp_path / "found.json"
    command = ["conditions", "--classifier", classifier, "--root", root, "--samples", "6"]
    command += ["--turn", "180", "--steps", "2", "--out", str(out), "--checkpoint"]
    monkeypatch.setattr("sys.argv", [*command, files.prior])
    main()
    printed, found = capsys.readouterr().out, json.loads(out.read_text())
    sets = ["class", "size", "time of day", "class + size"]
    sets += ["class + time of day", "size + time of day", "class + size + time of day"]
    assert f"| | {REAL} | {' | '.join(sets)} |" in printed
    assert list(found["figures"]) == [REAL, *sets]
    for column in found["figures"].values():
        assert list(column) == ["class", "size", "time of day"]
    assert found["figures"][REAL]["time of day"]["luminance: rank correlation"] > 0.9
    assert found["figures"][REAL]["size"]["length: rank correlation"] is None
    assert found["protocol"]["sampling"] == {"steps": 2}
    assert found["protocol"]["turn"] == 180
    assert all(count <= 6 for count in found["protocol"]["empty"].values())
    other = write_described(tmp_path / "other", classes=2)
    monkeypatch.setattr("sys.argv", [*command, files.prior, "--photographs", other])
    with pytest.raises(
        DataError, match=r"has 3 classes, the classifier tells 3 and .* has 2: they"
    ):
        main()
    monkeypatch.setattr("sys.argv", [*command, files.stage1])
    with pytest.raises(DataError, match="is no prior: name one in --checkpoint"):
        main()
