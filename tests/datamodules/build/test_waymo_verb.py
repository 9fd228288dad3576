"""`wild3d shards-waymo` from parquet files to the batches of the loader."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from waymo_files import ASSETS, RADIUS, SIZE, TAGS, crop_row, fitted, write_segment
from waymo_shards import RESOLUTION, convert, rows_of, samples_of

from datamodules.build.waymo.encoder import CropEncoder
from datamodules.build.waymo.plan import find_all, plan_shards, split_segments
from datamodules.build.waymo.ray_frames import TO_WORLD
from datamodules.build.waymo.samples import WaymoSamples
from datamodules.build.waymo.segments import Filters
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule

UNPACKED = [name for name in TAGS if name != "ray_compressed"]
PACKED = [name for name in TAGS if name != "ray"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments of 9 crops each; do not alter."""
    folder = tmp_path_factory.mktemp("waymo")
    for number, segment in enumerate(("seg_a", "seg_b", "seg_c")):
        write_segment(folder, rows_of(segment, 10 * number))
    return folder


@pytest.fixture(scope="module")
def shards(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "shards"
    convert(root, out)
    return out


def test_every_crop_comes_out_and_whole_segments_are_held_out(shards: Path) -> None:
    samples = samples_of(shards)
    assert len(samples) == 27
    assert not (shards / "rejected.csv").exists()
    splits = {sample["record"]["segment"]: sample["split"] for sample in samples.values()}
    assert sorted(splits.values()) == ["train", "train", "val"]
    assert all(splits[s["record"]["segment"]] == s["split"] for s in samples.values())


def test_records_say_what_the_tables_say(shards: Path) -> None:
    samples = samples_of(shards)
    record = samples["seg_b_1014_object14_1"]["record"]
    assert record.pop("disparity_unit") > 0
    assert 0.5 < record.pop("visible") < 1
    assert record == {
        "label": 0,
        "class": "vehicle",
        "size": SIZE.tolist(),
        "time_of_day": "night",
        "weather": "Sunny",
        "location": "SF",
        "segment": "seg_b",
        "timestamp": 1014,
        "track": "object14",
        "camera": "front",
        "most_visible_camera": "front",
        "lidar_points": 50,
        "speed": 5.0,
        "crop": [48, 52],
    }


def check_rays(samples: dict[str, dict], tolerance: float) -> None:
    """Rays of pixels that show the object go to the ball, and none of others inside the crop do."""
    measured = 0
    for sample in samples.values():
        origins, directions = sample["rays"]
        middle = -(origins * directions).sum(-1)
        miss = np.sqrt((origins**2).sum(-1) - middle**2)
        pixel = 15 * max(sample["record"]["crop"]) / RESOLUTION / 45
        assert (sample["mask"] == 1).sum() > 20
        assert miss[sample["mask"] == 1].max() < RADIUS + pixel
        assert miss[sample["mask"] == 0].min() > RADIUS - pixel
        surely = (miss < RADIUS - pixel) & (sample["mask"] == 1)
        assert (sample["jpg"][surely][:, 0] > 150).mean() > 0.95
        # What LiDAR measured on the ball lies on it.
        depth, unit = sample["depth"], sample["record"]["disparity_unit"]
        on_object = (depth > 0) & surely
        distances = 1 / (depth[on_object] * unit)
        points = origins[on_object] + distances[:, None] * directions[on_object]
        off = np.abs(np.linalg.norm(points, axis=-1) - RADIUS)
        assert off.max(initial=0) < pixel + tolerance
        measured += len(points)
    assert measured > 50


def test_everything_in_a_sample_lies_where_its_rays_go(shards: Path) -> None:
    check_rays(samples_of(shards), 0.01)


@pytest.mark.parametrize("components", [UNPACKED, PACKED], ids=["ray", "ray_compressed"])
def test_rays_are_exact_to_a_tenth_of_a_millimetre_at_the_box(tmp_path: Path, components) -> None:
    rows = [crop_row(n, RESOLUTION, RESOLUTION, focal=300 + 20 * n) for n in range(5)]
    codec = fitted(rows, components=40, levels=2**20)
    write_segment(tmp_path / "in", rows, components, codec=codec)
    convert(tmp_path / "in", tmp_path / "out", min_visible=0.0)
    samples = samples_of(tmp_path / "out")
    assert len(samples) == 5
    for row in rows:
        origins, directions = samples[row.key.replace("/", "_")]["rays"]
        wanted = (row.origins + 15 * row.directions) @ TO_WORLD.T
        error = np.linalg.norm(origins + 15 * directions - wanted, axis=-1).max()
        assert error < 1e-4


def test_the_loader_reads_them(shards: Path) -> None:
    data = ShardDataModule(
        str(shards), resolution=32, batch_size=4, depth=True, mask=True, rays=True, lanes=2
    )
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.rays.origins.shape == (4, 32, 32, 3)
    assert batch.attributes.size[0].tolist() == pytest.approx(SIZE.tolist())
    assert set(batch.attributes.time_of_day.tolist()) <= {0, 1, 2}
    # LiDAR's metres end on the ball where it is the object, and are unknown where nothing is.
    assert torch.equal(batch.distance().isfinite(), batch.disparity_known())
    measured = batch.disparity_known() & (batch.mask == 1)
    ends = batch.rays.origins + batch.distance()[..., None] * batch.rays.directions
    assert measured.sum() > 20
    assert (ends[measured].norm(dim=-1) - RADIUS).abs().median() < 0.2


def test_padding_is_unknown(shards: Path) -> None:
    sample = samples_of(shards)["seg_a_1000_object0_1"]  # 60 x 44
    outside = np.zeros(RESOLUTION, bool)
    outside[:6] = outside[-6:] = True
    assert (sample["mask"][:, outside] == 255).all()
    assert (sample["depth"][:, outside] == 0).all()
    assert (sample["mask"][:, 8:-8] != 255).any()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_bytes_whatever_the_workers_and_after_an_interruption(
    root: Path, shards: Path, tmp_path: Path, workers: int, capsys, monkeypatch
) -> None:
    out = tmp_path / "out"
    settings = {"samples_per_shard": 4}
    first = convert(root, out, **settings)
    wanted = {path.name: path.read_bytes() for path in out.glob("*/*.tar")}
    assert len(first.splits["train"]) > 2
    again = tmp_path / "again"
    whole, calls = CropEncoder.sample, []

    def stopping(self, *arguments):
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    monkeypatch.setattr(CropEncoder, "sample", stopping)
    with pytest.raises(KeyboardInterrupt):
        convert(root, again, **settings)
    monkeypatch.setattr(CropEncoder, "sample", whole)
    assert not (again / "manifest.json").exists()
    convert(root, again, workers=workers, **settings)
    assert {path.name: path.read_bytes() for path in again.glob("*/*.tar")} == wanted
    convert(root, again, **settings)
    assert "already complete" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"other settings or files \(min_side 32, now 33"):
        convert(root, again, min_side=33, **settings)


def test_pedestrians_have_a_label_of_their_own(tmp_path: Path) -> None:
    people = rows_of("seg_a", 50)
    for row in people:
        row.box_type = 2
    write_segment(tmp_path / "in", rows_of("seg_a", 0))
    write_segment(tmp_path / "in", people, [*ASSETS, "lidar_box"], kind="ped")
    manifest = convert(tmp_path / "in", tmp_path / "out", kinds=("pedestrian", "vehicle"))
    assert manifest.classes == ("vehicle", "pedestrian")
    labels = [sample["record"]["label"] for sample in samples_of(tmp_path / "out").values()]
    assert sorted(labels) == [0] * 9 + [1] * 9
    alone = convert(tmp_path / "in", tmp_path / "alone", kinds=("pedestrian",))
    assert alone.classes == ("pedestrian",)


def test_the_folders_training_and_validation_decide_unless_a_share_is_given(tmp_path) -> None:
    for number, folder in enumerate(("training", "validation")):
        for letter in "ab":
            segment = f"{folder}_{letter}"
            write_segment(tmp_path / "in" / folder, rows_of(segment, 10 * number))
    convert(tmp_path / "in", tmp_path / "out")
    splits = {
        (s["record"]["segment"][:5], s["split"]) for s in samples_of(tmp_path / "out").values()
    }
    assert splits == {("train", "train"), ("valid", "val")}
    by_hash = convert(tmp_path / "in", tmp_path / "hash", val_fraction=0.25)
    assert by_hash.samples("val") in (9, 18, 27)
    none = convert(tmp_path / "in" / "training", tmp_path / "none", val_fraction=0.0)
    assert none.samples("train") == 18


def test_row_groups_stay_whole_and_share_shards(root: Path) -> None:
    splits = split_segments(find_all(str(root), ("vehicle",)), 0.0, 0)
    plan, counts = plan_shards(splits, Filters(), 14)
    assert sum(counts["train"]) == 27
    assert all(count <= 14 for count in counts["train"])
    parts = [part for shard in plan["train"] for part in shard]
    groups = [(p.segment.name, g) for p in parts for g in range(p.first, p.end)]
    assert sorted(groups) == [(s, g) for s in ("seg_a", "seg_b", "seg_c") for g in range(3)]
    assert max(map(len, plan["train"])) > 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """One row group of rays is 0.5 MB here, those of the file are 10 MB."""
    rows = [crop_row(number, 100, 100) for number in range(40)]
    write_segment(tmp_path, rows, UNPACKED, group=2)
    splits = split_segments(find_all(str(tmp_path), ("vehicle",)), 0.0, 0)
    plan, _ = plan_shards(splits, Filters(), 10**6)
    before, peak = pa.total_allocated_bytes(), 0
    samples = WaymoSamples(plan, CropEncoder(32, Filters(min_visible=0)), {}, ("vehicle",))
    for _ in samples("train", 0):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert 0 < peak < 4e6
