from pathlib import Path

import pytest
import torch
from known_box import NAMES, write_box
from tiny_boxes import SIDE, box_model

from benchmarks.known_views import read_objects
from benchmarks.novel_cameras import angles, camera_at
from benchmarks.novel_view_sheets import ANGLES, class_sheets
from datamodules.schema import Batch
from lightning_modules.pictures.drawing import GAP


def test_a_class_shows_input_true_views_and_those_of_every_model(tmp_path: Path) -> None:
    objects = read_objects(write_box(tmp_path), SIDE)
    key = "vehicle_box-a-03"
    views = objects[key]
    camera = camera_at(views.camera, 3)
    image = (255 * views.image[3:4]).round().to(torch.uint8)
    batch = Batch((key,), image, torch.zeros(1).long(), camera=camera)
    model = box_model()
    found = class_sheets([model, model], [batch, batch], objects)
    assert list(found) == ["vehicle"]
    tile, columns = SIDE + GAP, 1 + len(ANGLES)
    # The margins of the names are above and to the left: one object, though it comes twice.
    tiles = found["vehicle"][:, -3 * tile :, -columns * tile :]
    tiles = tiles.unfold(1, SIDE, tile).unfold(2, SIDE, tile).movedim(0, 2)  # (3, 6, 3, S, S)
    assert tiles.shape == (3, columns, 3, SIDE, SIDE)
    assert torch.equal(tiles[0, 0], tiles[0, 1])  # the view at 0 degrees is the input
    apart = angles(camera, views.camera)
    assert apart[3] == pytest.approx(0, abs=0.1)
    assert len(apart) == len(NAMES)
    opposite = views.image[(apart - 180).abs().argmin()]
    assert torch.equal(tiles[0, -1], opposite)
    assert torch.equal(tiles[1], tiles[2])
    assert (tiles[1, 0] == 1).all()
    assert len(torch.unique(tiles[1], dim=0)) > 3
