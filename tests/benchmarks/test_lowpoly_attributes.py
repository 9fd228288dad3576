import json
from pathlib import Path

import numpy as np
import pytest
from known_box import NAMES, PIXEL, SIDE, SIDES, write_box

from benchmarks.known_views import read_known_views, read_objects
from benchmarks.lowpoly_attributes import MARGIN, box_size, main, write_known
from datamodules.build.maps import read_depth
from datamodules.build.shards import shards
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from renderers.bounds import box_bounds
from renderers.rays import Rays


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views of a box; do not alter."""
    return write_box(tmp_path_factory.mktemp("box"))


def test_the_box_is_found_to_a_pixel(source: Path) -> None:
    (names,) = read_known_views(source).objects()
    assert names == NAMES
    length, width, height = box_size(read_known_views(source).read(names, None))
    for found, true in zip((width, height, length), SIDES, strict=True):
        assert MARGIN * (true - PIXEL) < found < MARGIN * true + 1e-3


def test_the_front_is_towards_x(source: Path) -> None:
    known = read_known_views(source)
    positions = known.read(NAMES, None).camera.position
    for name, found in zip(NAMES, positions.tolist(), strict=True):
        x, y, z = known.poses[name][3:12:4]
        np.testing.assert_allclose(found, [z, y, -x], atol=1e-6)


def test_views_are_read_at_another_size(source: Path) -> None:
    objects = read_objects(source, SIDE // 2)
    assert list(objects) == [name.replace("/", "_") for name in NAMES]
    views = objects["vehicle_box-a-03"]
    assert views.image.shape == (16, 3, SIDE // 2, SIDE // 2)
    assert views.label == "vehicle"
    assert ((views.depth > 0) == views.mask).all()


def test_shards_hold_cameras_and_boxes_that_fit_the_pixels(source: Path, tmp_path: Path) -> None:
    assert write_known(source, tmp_path) == 1
    millimetres = read_depth(tmp_path / f"depth/{NAMES[0]}.png", (SIDE, SIDE), "metres_mm")
    stored = read_depth(source / f"depth/{NAMES[0]}.png", (SIDE, SIDE), "disparity")
    np.testing.assert_allclose(millimetres, stored * 2000 / 65535, atol=0.51)
    shards(
        str(source / "images"),
        str(tmp_path / "out"),
        resolution=SIDE,
        masks=str(source / "masks"),
        depth=str(tmp_path / "depth"),
        attributes=str(tmp_path / "attributes"),
        workers=1,
    )
    data = ShardDataModule(
        str(tmp_path / "out"), SIDE, 4, mask=True, depth=True, rays=True, flip=False, num_workers=0
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch.rays is not None
    assert batch.mask is not None
    rays = Rays(batch.rays.origins.flatten(1, 2), batch.rays.directions.flatten(1, 2))
    met = box_bounds(rays, batch.size()[:, [0, 2, 1]] / 2).hit.view(batch.mask.shape)
    body = batch.mask == 1
    assert body.any()
    assert met[body].all()  # by a box that is 2 % larger than the object
    assert (met & ~body).sum() < 0.25 * body.sum()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (None, "has no cameras.json: name the folder of the true views"),
        ({"convention": "OpenGL"}, "another format than expected .its convention is 'OpenGL'"),
        ({"cam2world": [1]}, "another format than expected .cam2world is .1., expected an object"),
        ({"cam2world": {"a/b-0": [1]}}, "another format than expected .the pose of a/b-0 is .1."),
        ({"cam2world": {"cat/b-0": [0] * 16}}, "cat/b-0 in .* cannot be read: .*No such file"),
        ({"fov_degrees": None}, "another format than expected"),
    ],
)
def test_folders_of_another_format_are_refused(
    source: Path, tmp_path: Path, changed: dict[str, object] | None, said: str
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    if changed is not None:
        described = json.loads((source / "cameras.json").read_text()) | changed
        (folder / "cameras.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match=said):
        write_known(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["lowpoly_attributes", "--source", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = f"{tmp_path} has no cameras.json: name the folder of the true views.\n"
    assert capsys.readouterr().err == said
