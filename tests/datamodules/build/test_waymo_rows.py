"""Rows that cannot become samples, limits, and folders that cannot be converted."""

from pathlib import Path

import numpy as np
import pytest
from waymo_files import TAGS, Changes, crop_row, folder_of, write_segment
from waymo_shards import convert, rejected, rows_of, samples_of

from datamodules.build.waymo import shards_waymo
from datamodules.build.waymo.verb import count_reasons
from datamodules.errors import DataError

VALUES = {
    ("camera_sensor", 0, "rgb_image"): None,
    ("camera_sensor", 1, "rgb_image"): b"\x89PNG\r\n\x1a\n broken",
    ("camera_sensor", 2, "proj_points_dist.values"): None,
    ("camera_sensor", 3, "camera_region.size.x"): None,
    ("camera_sensor", 4, "camera_region.size.x"): 31.0,
    ("camera_sensor", 5, "key.laser_object_id"): None,
    ("auto_label", 6, "object_mask"): None,
    ("auto_label", 7, "semantic_mask"): b"no png",
    ("auto_label", 8, "object_mask"): None,
    ("ray", 9, "ray_direction.shape"): [1, 1, 3],
    ("lidar_box", 10, "box.size.y"): None,
    ("lidar_box", 11, "box.size.y"): 0.0,
    ("lidar_box", 12, "type"): 4,
    ("lidar_sensor", 13, "points_xyz.shape"): [3, 3],
    ("lidar_sensor", 26, "points_xyz.shape"): None,
    ("lidar_box", 22, "type"): None,
    ("lidar_box", 23, "speed.x"): None,
    ("stats", 24, "time_of_day"): None,
}
WITHOUT = [("auto_label", 14), ("ray", 15), ("ray_compressed", 15), ("lidar_box", 16)]
WITHOUT += [("ray_compressed", 17), ("ray", 18), ("lidar_sensor", 19), ("stats", 20)]
WITHOUT += [("lidar_camera_synced_box", 20), ("refined_pose", 21)]
REASONS = {
    "null rgb_image": 1,
    "bad rgb_image": 1,
    "null proj_points_dist.values": 1,
    "null camera_region": 1,
    "under --min_side 32 pixels": 1,
    "null in its key": 1,
    "null object_mask": 2,
    "bad semantic_mask": 1,
    "ray_direction has another shape than values": 1,
    "null box.size.y": 1,
    "its box has no extent": 1,
    "its box is of no vehicle": 1,
    "under --min_points 10 LiDAR points": 2,
    "null number of LiDAR points": 1,
    "its mask has no object pixel": 1,
    "no ray of the object meets its box": 1,
    "no row in auto_label": 1,
    "no row in ray or ray_compressed": 1,
    "no row in lidar_box": 1,
    "its key occurs twice": 1,
}


def test_bad_rows_are_counted_by_name_and_all_others_come_out(tmp_path: Path, capsys) -> None:
    rows = [crop_row(number, 48, 40) for number in range(30)]
    rows[28].own[:] = False
    rows[29].origins += np.float32([0, 0, 50])
    twice = crop_row(25, 48, 40)
    write_segment(tmp_path / "in", [*rows, twice], changes=Changes(WITHOUT, VALUES))
    manifest = convert(tmp_path / "in", tmp_path / "out")
    reasons = count_reasons(tmp_path / "out" / "rejected.csv")
    assert dict(reasons) == REASONS
    assert manifest.samples("train") + reasons.total() == 31
    samples = samples_of(tmp_path / "out")
    assert {int(sample["record"]["timestamp"]) - 1000 for sample in samples.values()} == {
        *(17, 18, 20, 21, 22, 23, 24, 25, 27)
    }
    records = {int(s["record"]["timestamp"]) - 1000: s["record"] for s in samples.values()}
    assert "weather" not in records[20]
    assert "most_visible_camera" not in records[20]
    assert "speed" not in records[23]
    assert "time_of_day" not in records[24]
    said = capsys.readouterr().out
    assert "22 crops rejected" in said
    assert "2 null object_mask" in said
    assert "seg_a/1012/object12/1" in " ".join(rejected(tmp_path / "out"))


def test_limits_are_settings(tmp_path: Path) -> None:
    rows = rows_of("seg_a", 0)
    rows[0].points, rows[2].points = 49, 49
    write_segment(tmp_path / "in", rows)
    convert(tmp_path / "in", tmp_path / "all", min_visible=0.0)
    shares = [s["record"]["visible"] for s in samples_of(tmp_path / "all").values()]
    limit = sorted(shares)[4] + 1e-3
    hidden = convert(tmp_path / "in", tmp_path / "hidden", min_visible=limit)
    assert hidden.samples("train") == 4
    strict = convert(tmp_path / "in", tmp_path / "out", min_side=45, min_points=50)
    found = count_reasons(tmp_path / "out" / "rejected.csv")
    reasons = {"under --min_side 45 pixels": 4, "under --min_points 50 LiDAR points": 2}
    assert dict(found) == reasons
    assert strict.samples("train") == 3


def test_a_small_image_is_small_whatever_its_region_says(tmp_path: Path) -> None:
    rows = [crop_row(0, 48, 40), crop_row(1, 20, 24)]
    values = {("camera_sensor", 1, f"camera_region.size.{axis}"): 100.0 for axis in "xy"}
    write_segment(tmp_path / "in", rows, changes=Changes(values=values))
    assert convert(tmp_path / "in", tmp_path / "out").samples("train") == 1
    (reason,) = rejected(tmp_path / "out").values()
    assert reason == "under --min_side 32 pixels (20)"


def test_refined_rays_need_a_pose(tmp_path: Path) -> None:
    rows = rows_of("seg_a", 0)
    write_segment(tmp_path / "in", rows, changes=Changes([("refined_pose", 3)]))
    convert(tmp_path / "in", tmp_path / "plain")
    convert(tmp_path / "in", tmp_path / "out", refined=True)
    assert rejected(tmp_path / "out") == {"vehicle seg_a/1003/object3/1": "no row in refined_pose"}
    plain, refined = samples_of(tmp_path / "plain"), samples_of(tmp_path / "out")
    assert len(refined) == 8
    for key, sample in refined.items():
        assert (sample["mask"] == plain[key]["mask"]).all()
        assert np.abs(sample["rays"].origins - plain[key]["rays"].origins).max() > 0.1


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("camera_sensor", "veh_asset_camera_sensor does not exist: download it, or take --kinds"),
        ("auto_label", "veh_asset_auto_label does not exist"),
        ("lidar_box", "lidar_box does not exist: download it.$"),
        ("ray", "veh_asset_ray or veh_asset_ray_compressed does not exist"),
    ],
)
def test_a_missing_component_is_told(tmp_path: Path, without: str, sentence: str) -> None:
    components = [name for name in TAGS if not name.startswith(without)]
    write_segment(tmp_path / "in", rows_of("seg_a", 0)[:2], components)
    with pytest.raises(DataError, match=sentence):
        convert(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_else_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_segment(root, rows_of("seg_a", 0)[:2])
    out = tmp_path / "out"
    for source in ("", str(tmp_path / "none"), "a\0b"):
        with pytest.raises(DataError, match=r"--source .* is no folder"):
            shards_waymo(source, str(out))
    with pytest.raises(DataError, match=r"ped_asset_camera_sensor .*--kinds vehicle"):
        shards_waymo(str(root), str(out))
    with pytest.raises(DataError, match=r"--kinds is empty"):
        convert(root, out, kinds=())
    with pytest.raises(DataError, match=r"--refined needs poses, .* add --kinds vehicle"):
        convert(root, out, kinds=("vehicle", "pedestrian"), refined=True)
    with pytest.raises(DataError, match=r"--val_fraction is 1.0"):
        convert(root, out, val_fraction=1.0)
    with pytest.raises(DataError, match=r"overlap"):
        convert(root, root / "out")
    assert not out.exists()


def test_a_folder_without_files_and_a_codec_that_is_missing_are_told(tmp_path: Path) -> None:
    write_segment(tmp_path, rows_of("seg_a", 0)[:2])
    (folder_of(tmp_path, "ray_compressed") / "codec_config.json").unlink()
    with pytest.raises(DataError, match=r"codec_config.json is missing"):
        convert(tmp_path, tmp_path.parent / "out")
    for path in folder_of(tmp_path, "camera_sensor").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"veh_asset_camera_sensor has no .parquet files"):
        convert(tmp_path, tmp_path.parent / "out")


def test_if_all_are_rejected_nothing_stays(tmp_path: Path) -> None:
    write_segment(tmp_path / "in", rows_of("seg_a", 0)[:2])
    with pytest.raises(DataError, match=r"all 2 were rejected.*under --min_points 99"):
        convert(tmp_path / "in", tmp_path / "out", min_points=99)
