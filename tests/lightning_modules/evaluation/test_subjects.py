"""Scenes as they are seen where they are measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from tiny_boxes import SIDE, box_model

from datamodules.build.shapeworld.verb import shapeworld
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT
from datamodules.remote import read_manifest
from datamodules.rows import SplitRows
from datamodules.schema import Batch, PixelRays
from lightning_modules.evaluation.subjects import (
    DrawnSubjects,
    ReconstructedSubjects,
    completed,
    rows_of_labels,
    turned,
)
from lightning_modules.inference.tokenise import sight
from models.autoencoder import CanonicalView
from models.gina3d import GINA3D
from models.scenes import Scenes, View
from renderers.cameras import Camera, orbit_camera
from renderers.rays import Rays, camera_rays


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> SplitRows:
    """Twelve validation images with masks and rays."""
    root = str(tmp_path_factory.mktemp("subjects") / "shards")
    shapeworld(root, images=24, val_fraction=0.5, resolution=SIDE, workers=1)
    return SplitRows(root, read_manifest(root), "val", SIDE)


@dataclass
class Boxes:
    """Draws scenes of a stage-1 model out of seeds."""

    autoencoder: GINA3D
    view: CanonicalView = CanonicalView(2.5)
    resolution: int = SIDE

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        tokens = [torch.randint(16, (12,), generator=rng) for rng in rngs]
        return self.autoencoder.decode_tokens(torch.stack(tokens))

    def cameras(self, scenes: Scenes, labels: Sequence[int], seeds: Sequence[int]) -> Camera:
        return orbit_camera(torch.tensor(list(labels)) / 2, 0.1, 2.5, 40.0)


def test_drawn_scenes_are_seen_from_their_cameras_whatever_the_batch() -> None:
    drawer = Boxes(box_model())
    subjects = DrawnSubjects(drawer, (0, 1, 1, 0, 2), first_seed=5)
    whole, part = subjects.seen(range(5)), subjects.seen(range(2, 4))
    assert (len(subjects), whole.seeds, part.seeds) == (5, (5, 6, 7, 8, 9), (7, 8))
    assert part.labels.tolist() == [1, 0]
    torch.testing.assert_close(part.image, whole.image[2:4])
    scenes, camera = drawer.generate([1], [7]), orbit_camera(torch.full((1,), 0.5), 0.1, 2.5, 40.0)
    torch.testing.assert_close(part.image[:1], scenes.view(camera, SIDE, SIDE).rgb)
    assert part.rotation is not None
    torch.testing.assert_close(part.rotation[0], camera.cam2world[0, :3, :3])


def test_drawn_objects_are_seen_along_the_rays_of_photographs(photographs: SplitRows) -> None:
    drawer = Boxes(box_model())
    seen = DrawnSubjects(drawer, (0, 0, 0), 0, photographs, (7, 2, 7)).seen(range(3))
    batch = photographs.read([2])
    assert batch.rays is not None
    scenes = drawer.generate([0], [1])
    rays = Rays(batch.rays.origins.flatten(1, 2), batch.rays.directions.flatten(1, 2))
    view = scenes.view_along(rays, torch.ones(1, SIDE * SIDE), (SIDE, SIDE))
    torch.testing.assert_close(seen.image[1:2], view.rgb, rtol=1e-4, atol=1e-4)
    assert seen.rotation is not None
    assert torch.equal(seen.rotation[0], seen.rotation[2])


def test_reconstructions_are_of_the_photographs_of_their_rows(photographs: SplitRows) -> None:
    model = box_model()
    subjects = ReconstructedSubjects(model, photographs, range(1, 12, 4))
    seen = subjects.seen(range(1, 3))
    assert (len(subjects), seen.seeds) == (3, (5, 9))
    batch = photographs.read([5, 9])
    assert seen.photographs is not None
    assert seen.photographs.keys == batch.keys
    expected = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
    torch.testing.assert_close(seen.scenes.planes, expected.planes)
    assert torch.equal(seen.labels, batch.label)


def test_surroundings_of_an_object_are_completed_out_of_its_photograph() -> None:
    mask = torch.tensor([[[MASK_OBJECT, MASK_BACKGROUND], [MASK_BACKGROUND, 2]]], dtype=torch.uint8)
    image = torch.full((1, 3, 2, 2), 51, dtype=torch.uint8)
    batch = Batch(("a",), image, torch.zeros(1, dtype=torch.long), mask=mask)
    ones = torch.ones(1, 2, 2)
    view = View(torch.full((1, 3, 2, 2), 0.5), ones, 0 * ones, torch.ones(1, 2))
    # Transparent: missing where the object is, the photograph around it and on what is before it.
    expected = torch.tensor([[0.5, 0.2], [0.2, 0.2]])
    found = completed(view, 0.5, batch)
    torch.testing.assert_close(found, expected.expand(1, 3, 2, 2))
    assert completed(view, None, batch) is view.rgb


def test_the_camera_of_a_pinhole_is_found_in_its_rays() -> None:
    camera = orbit_camera(torch.tensor([0.3, -2.0]), torch.tensor([0.2, -1.0]), 2.0, 50.0)
    rays = camera_rays(camera, 8, 8)
    grid = (part.unflatten(1, (8, 8)) for part in (rays.origins, rays.directions))
    torch.testing.assert_close(turned(PixelRays(*grid)), camera.cam2world[:, :3, :3])
    with pytest.raises(ValueError, match="without rays"):
        turned(None)


def test_photographs_of_a_class_take_turns_over_repeats() -> None:
    stored = torch.tensor([0, 1, 0, 0, 1, 2])
    labels = [0, 1, 0, 0, 0, 1]
    assert rows_of_labels(stored, labels) == (0, 1, 2, 3, 0, 4)
    again = rows_of_labels(stored, labels, skipped=6)
    assert again == (2, 1, 3, 0, 2, 4)  # four of class 0 were seen before
    assert rows_of_labels(stored, [-1, -1]) == (0, 1)


def test_novel_cameras_are_turned_within_the_cap_and_follow_their_seeds() -> None:
    drawer = Boxes(box_model(), CanonicalView(2.0, yaw=0.4, pitch=0.1))
    subjects = DrawnSubjects(drawer, (0,))
    camera, distance = subjects.novel_cameras(range(200), 0.5, 0.2), 2.0
    x, y, z = (camera.position / distance).unbind(1)
    yaw, pitch = torch.atan2(x, z) - 0.4, torch.asin(y) - 0.1
    assert 0.45 < yaw.abs().max() <= 0.5 + 1e-5
    assert 0.18 < pitch.abs().max() <= 0.2 + 1e-5
    assert abs(yaw.mean()) < 0.1
    alone = subjects.novel_cameras([7], 0.5, 0.2)
    assert torch.equal(alone.cam2world[0], camera.cam2world[7])
    assert math.isclose(float(camera.position.norm(dim=1).mean()), distance, rel_tol=1e-5)
