import csv
import json
from pathlib import Path

import numpy as np
import pytest
from photo_folders import everything, files, write, write_photos

from datamodules.build.attributes import check_box_seen, read_attributes
from datamodules.build.prepare import Preparation, Resize
from datamodules.errors import DataError
from datamodules.rays import PinholeCamera

POSE = np.array([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 3], [0, 0, 0, 1]], np.float32)
"""A camera on +z that looks at the origin, upright."""
INTRINSICS = np.array([[1, 0, 0.4], [0, 1.5, 0.6], [0, 0, 1]], np.float32)
CAMERA = {"cam2world": POSE.tolist(), "intrinsics": INTRINSICS.tolist()}


def pixel_of(camera: PinholeCamera, point: tuple[float, float, float]) -> np.ndarray:
    """Where a world point is seen, x and y as shares of the picture."""
    local = camera.cam2world[:3, :3].T @ (np.array(point) - camera.cam2world[:3, 3])
    seen = camera.intrinsics @ local
    return seen[:2] / seen[2]


@pytest.mark.parametrize("resize", ["short_side+center_crop", "squash", "none"])
def test_a_camera_follows_the_window_of_its_photograph(resize: Resize) -> None:
    width, height = 640, 400
    camera = PinholeCamera(POSE, INTRINSICS)
    prepared = Preparation(64, resize).camera(camera, (width, height))
    before = pixel_of(camera, (0.2, -0.1, 0.3)) * (width, height)
    after = pixel_of(prepared, (0.2, -0.1, 0.3))
    left, side = (120, 400) if resize == "short_side+center_crop" else (0, width)
    np.testing.assert_allclose(after, [(before[0] - left) / side, before[1] / height], rtol=1e-6)
    assert (prepared.cam2world == camera.cam2world).all()


def write_attributes(photos: Path, **changed: object) -> str:
    """A file for each photograph, all the same."""
    told = {"camera": CAMERA, "size": [0.5, 0.4, 0.3], "time_of_day": "night"} | changed
    for image in (photos / "images").rglob("*.jpg"):
        path = photos / "attributes" / image.relative_to(photos / "images").with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told))
    return str(photos / "attributes")


def test_what_is_known_of_images_comes_with_them(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    write(photos, attributes=write_attributes(photos))
    batches = everything(photos / "out", camera=True, rays=True)
    assert len(batches) == 10
    for batch in batches:
        np.testing.assert_allclose(batch.size()[0], [0.5, 0.4, 0.3])
        assert batch.attributes.time_of_day.tolist() == [2]
        np.testing.assert_allclose(batch.camera.cam2world[0], POSE)
        # 16 x 12 pixels, of which the middle 12 x 12 are kept.
        np.testing.assert_allclose(batch.camera.intrinsics[0, 0, 0], 16 / 12)
        np.testing.assert_allclose(batch.camera.intrinsics[0, 0, 2], (0.4 * 16 - 2) / 12)
        np.testing.assert_allclose(batch.rays.origins[0, 3, 5], [0, 0, 3])


def test_a_semantic_vector_comes_with_them(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    write(photos, attributes=write_attributes(photos, camera=None, semantics=[0.5, -1, 2]))
    (batch, *_) = everything(photos / "out", semantics=3)
    assert batch.attributes.semantics.tolist() == [[0.5, -1, 2]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"colour": "red"}, "its attributes have 'colour', known are camera, size"),
        ({"size": [1, 2, 0]}, "its size is .*, expected .length, width, height., all above 0"),
        ({"time_of_day": "noon"}, "its time_of_day is 'noon', expected one of day"),
        ({"semantics": "car"}, "its semantics is no list"),
        ({"semantics": [1, float("nan")]}, "its semantics is no list of 2 finite numbers"),
        ({"camera": [1]}, "its camera is .*, expected cam2world and intrinsics"),
        ({"camera": {**CAMERA, "cam2world": [1, 2]}}, "its cam2world is .*, expected 4 x 4"),
        ({"camera": {**CAMERA, "cam2world": np.ones((4, 4)).tolist()}}, "no rotation"),
        ({"camera": {**CAMERA, "cam2world": np.diag([1, 1, -1, 1]).tolist()}}, "no rotation"),
        ({"camera": {**CAMERA, "intrinsics": np.zeros((3, 3)).tolist()}}, "no focal length"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, changed: dict, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"camera": CAMERA, "size": [0.5, 0.4, 0.3]} | changed))
    with pytest.raises(ValueError, match=said):
        read_attributes(path)


def test_a_camera_that_looks_past_the_box_is_refused(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    folder = Path(write_attributes(photos))
    away = POSE.copy()
    away[2, 3] = -3  # behind the box, looking away from it
    told = {"camera": {**CAMERA, "cam2world": away.tolist()}, "size": [0.5, 0.4, 0.3]}
    (folder / "cat/1.json").write_text(json.dumps(told))
    write(photos, attributes=str(folder))
    ((source, reason),) = list(csv.reader((photos / "out/rejected.csv").open()))[1:]
    assert source.endswith("cat/1.jpg")
    assert reason.startswith("no ray of its camera meets its box of size [0.5, 0.4")


def test_boxes_are_looked_for_with_every_ray() -> None:
    # 64 x 64 rays, 1/64 of the distance apart; the one of row 19 and column 45 meets the box.
    x, y = ((45 + 0.5) / 64 - 0.4) * 3, -((19 + 0.5) / 64 - 0.6) / 1.5 * 3
    pose = POSE.copy()
    pose[:2, 3] = -x, -y
    camera = PinholeCamera(pose, INTRINSICS)
    check_box_seen(camera, {"size": [0.02, 0.02, 0.02]}, 64)
    with pytest.raises(ValueError, match="no ray of its camera"):
        check_box_seen(camera, {"size": [0.02, 0.02, 0.02]}, 16)
    check_box_seen(camera, {}, 16)


def test_images_that_lack_what_others_have_are_listed(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    folder = Path(write_attributes(photos))
    (folder / "cat/1.json").unlink()
    (folder / "dog/3.json").write_text(json.dumps({"size": [1, 1, 1]}))
    (folder / "dog/4.json").write_text("{")
    manifest = write(photos, attributes=str(folder))
    assert sum(manifest.samples(split) for split in manifest.splits) == 7
    listed = (photos / "out/rejected.csv").read_text()
    assert "its attributes 1.json cannot be read" in listed
    assert "its attributes have no camera, those of others have one" in listed


def test_images_need_no_attributes_where_none_tells_a_camera(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_photos(tmp_path)
    folder = tmp_path / "attributes"
    for name in ("dog/3", "dog/30", "cow/1"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({"time_of_day": "dawn_dusk"}))
    write(photos, attributes=str(folder))
    batches = everything(photos / "out")
    times = {batch.keys[0]: batch.attributes.time_of_day.item() for batch in batches}
    assert len(times) == 10
    assert {key for key, time in times.items() if time != -1} == {"dog_3"}
    assert f"{folder} has 2 files of no image that was taken" in capsys.readouterr().out


def test_a_folder_of_nothing_usable_is_refused(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    (tmp_path / "empty").mkdir()
    sentence = r"no attributes in .*empty can be read: there is no cat/0.json, nor any other\.$"
    with pytest.raises(DataError, match=sentence):
        write(photos, attributes=str(tmp_path / "empty"))
    (tmp_path / "empty/dog").mkdir()
    (tmp_path / "empty/dog/4.json").write_text('{"colour": 1}')
    with pytest.raises(DataError, match=r"can be read: .*dog/4.json: its attributes have 'colour'"):
        write(photos, attributes=str(tmp_path / "empty"))
    assert not (photos / "out").exists()


def test_other_attributes_need_another_folder(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    write(photos, attributes=write_attributes(photos))
    before = files(photos / "out")
    write(photos, attributes=write_attributes(photos))
    assert files(photos / "out") == before
    with pytest.raises(DataError):
        write(photos, attributes=write_attributes(photos, time_of_day="day"))
