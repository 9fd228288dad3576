import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.build.shapeworld import (
    CLASSES,
    render,
    scene_camera,
    scene_for,
    scene_of_key,
    shapeworld,
)
from datamodules.build.shapeworld.samples import encode_scene, relative_disparity
from datamodules.build.shapeworld.scene import Wall
from datamodules.build.shapeworld.verb import even_parts
from datamodules.errors import DataError
from datamodules.modalities import MASK_OBJECT, TIMES_OF_DAY


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapeworld") / "one"
    shapeworld(str(root), 30, 0.2, 16, seed=4, samples_per_shard=12, workers=1)
    return root


@pytest.mark.slow
def test_same_seed_same_bytes_with_two_workers(built: Path, tmp_path: Path) -> None:
    shapeworld(str(tmp_path), 30, 0.2, 16, seed=4, samples_per_shard=12, workers=2)
    assert digests(tmp_path) == digests(built)
    assert len(digests(built)) == 1 + 4 * (2 + 1)


def test_another_seed_or_split_gives_other_scenes() -> None:
    assert scene_for(0, "train", 5) == scene_for(0, "train", 5)
    assert scene_for(0, "train", 5) != scene_for(1, "train", 5)
    assert scene_for(0, "train", 5) != scene_for(0, "val", 5)


def test_a_finished_folder_is_left_alone_and_says_so(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(built)
    shapeworld(str(built), 30, 0.2, 16, seed=4, samples_per_shard=12, workers=1)
    assert "already complete" in capsys.readouterr().out
    assert digests(built) == before


def test_shards_hold_what_the_renderer_gives(built: Path) -> None:
    rgb, depth, mask, rays = (
        members(built / "val" / f"{name}-000000.tar") for name in ("rgb", "depth", "mask", "rays")
    )
    key = "val-000003"
    scene = scene_of_key(4, key)
    view = render(scene, scene_camera(scene), 16)
    np.testing.assert_array_equal(Image.open(io.BytesIO(rgb[f"{key}.png"])), view.rgb)
    np.testing.assert_array_equal(Image.open(io.BytesIO(mask[f"{key}.mask.png"])), view.mask)
    stored = np.asarray(Image.open(io.BytesIO(depth[f"{key}.depth.png"])))
    np.testing.assert_array_equal(stored, relative_disparity(view.z_depth))
    camera = np.load(io.BytesIO(rays[f"{key}.rays.npz"]))
    # In the frame of the object's box, whose middle is not quite the scene's.
    shift = np.eye(4, dtype=np.float32)
    shift[:3, 3] = scene.centre
    np.testing.assert_allclose(
        shift @ camera["cam2world"], scene_camera(scene).cam2world, atol=1e-6
    )
    np.testing.assert_array_equal(camera["intrinsics"], scene_camera(scene).intrinsics)


def test_every_class_appears_and_attributes_are_complete(built: Path) -> None:
    records = [
        json.loads(content)
        for path in (built / "train").glob("rgb-*.tar")
        for name, content in members(path).items()
        if name.endswith(".json")
    ]
    assert {record["class"] for record in records} == set(CLASSES)
    for record in records:
        assert CLASSES[record["label"]] == record["class"]
        assert record["time_of_day"] in TIMES_OF_DAY
        assert all(0.1 < side < 1.36 for side in record["size"])
        assert len(record["size"]) == 3


def test_disparity_is_inverse_depth_with_the_sky_known() -> None:
    z = np.array([[1.5, 3.0], [6.0, np.inf]], np.float32)
    np.testing.assert_array_equal(relative_disparity(z), [[65535, 32768], [16384, 1]])


def test_scenes_vary_in_view_surroundings_light_and_occlusion() -> None:
    scenes = [scene_for(0, "train", index) for index in range(400)]
    quadrants = np.bincount([int(s.pose.yaw // (np.pi / 2)) for s in scenes], minlength=4)
    assert quadrants.min() > 70
    assert all(np.radians(5) <= s.pose.pitch <= np.radians(35) for s in scenes)
    assert all(2.37 < s.pose.radius < 2.63 for s in scenes)
    assert 0.13 < np.mean([bool(s.occluders) for s in scenes]) < 0.27
    assert {s.background.kind for s in scenes} == set(Wall)
    assert {s.time_of_day for s in scenes} == set(TIMES_OF_DAY)
    assert min(s.background.distance for s in scenes) > 2.63  # no wall before a camera


def test_screens_hide_about_half_of_the_object_and_change_nothing_else() -> None:
    for index in range(12):
        scene, hidden = scene_for(0, "val", index), scene_for(0, "val", index, half_hidden=1.0)
        assert replace(hidden, occluders=scene.occluders) == scene
    shares = []
    for index in range(48):
        hidden = scene_for(0, "val", index, half_hidden=1.0)
        seen, whole = (
            render(each, scene_camera(each), 32).mask == MASK_OBJECT
            for each in (hidden, replace(hidden, occluders=()))
        )
        shares.append(seen.sum() / whole.sum())
    assert 0.35 < np.mean(shares) < 0.65
    assert scene_of_key(0, "val-000003", 1.0) == scene_for(0, "val", 3, 1.0)


def test_a_sample_carries_all_modalities() -> None:
    sample = encode_scene("a", scene_for(0, "val", 0), 16)
    assert sample.modalities() == ("rgb", "depth", "mask", "rays")


@pytest.mark.parametrize(
    ("total", "limit", "parts"), [(10, 4, (3, 3, 4)), (8, 4, (4, 4)), (3, 9, (3,))]
)
def test_shards_are_even(total: int, limit: int, parts: tuple[int, ...]) -> None:
    assert even_parts(total, limit) == parts


@pytest.mark.parametrize(
    "setting",
    [
        {"images": 0},
        {"val_fraction": 1.0},
        {"resolution": 4},
        {"seed": -1},
        {"samples_per_shard": 0},
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, setting: dict[str, float]) -> None:
    with pytest.raises(DataError, match=f"--{next(iter(setting))} is"):
        shapeworld(str(tmp_path), **setting)


@pytest.mark.parametrize("key", ["n01440764_1", "test-000001", "val-x"])
def test_a_foreign_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not of shapeworld"):
        scene_of_key(0, key)
