"""Poses of real images and of scenes, by thumbnails."""

import pytest
import torch
from torch import Tensor

from datamodules.build.shapeworld.verb import shapeworld
from datamodules.errors import DataError
from lightning_modules.evaluation.feature_network import Features
from lightning_modules.evaluation.measures import Measures, thumbnails
from lightning_modules.evaluation.poses import PosedImages
from lightning_modules.evaluation.real_images import RealImages
from lightning_modules.evaluation.real_poses import (
    class_rotations,
    pose_figures,
    pose_limits,
    real_poses,
)
from renderers.cameras import orbit_camera

SIDE = 16


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> RealImages:
    root = str(tmp_path_factory.mktemp("poses") / "shards")
    shapeworld(root, images=48, val_fraction=0.25, resolution=SIDE, workers=1)
    return RealImages.open(root, "train", SIDE, 30)


def rotations(yaws: Tensor) -> Tensor:
    return orbit_camera(yaws, 0.3, 2.0, 40.0).cam2world[:, :3, :3]


def posed(count: int, classes: int, seed: int) -> PosedImages:
    """Images whose features tell the yaw they are seen from, and nothing else."""
    rng = torch.Generator().manual_seed(seed)
    yaws = 6.28 * torch.rand(count, generator=rng)
    features = torch.stack([yaws.cos(), yaws.sin()], 1)
    return PosedImages(
        features, torch.arange(count) % classes, rotations(yaws), torch.arange(count)
    )


def measures(images: PosedImages, rotation: Tensor) -> Measures:
    count = len(images.labels)
    nothing = Features.none(count)
    clouds = torch.zeros(count, 0, 6)
    small = images.features
    return Measures(
        images.labels, nothing, Features.none(0), {}, rotation, small, clouds, nothing.logits
    )


def test_a_class_world_of_its_own_is_free_and_found() -> None:
    real, fake = posed(600, 3, 0), posed(120, 3, 1)
    turns = rotations(torch.tensor([0.5, 1.5, -1.0]))
    given = turns[fake.labels].mT @ fake.rotations  # found = turn given
    free = pose_figures(measures(fake, given), real, free=True)
    assert free["pose_error"] < 4  # neighbours are 1.8 degrees apart
    assert free["pose_median"] < 2
    fixed = pose_figures(measures(fake, given), real, free=False)
    assert fixed["pose_error"] > 30
    assert pose_figures(measures(fake, fake.rotations), real, free=False)["pose_error"] < 4
    found = class_rotations(measures(fake, given), real)
    for label in range(3):
        torch.testing.assert_close(found[label].float(), turns[label], atol=0.04, rtol=0)


def test_real_images_and_chance_are_the_limits() -> None:
    limits = pose_limits(posed(300, 2, 0))
    assert limits["pose_error_of_real_images"] < 4
    assert limits["pose_median_of_real_images"] < 3
    assert 70 < limits["pose_error_by_chance"] < 110


def test_cameras_and_thumbnails_of_real_images_are_read(images: RealImages) -> None:
    found = real_poses(images, None)
    assert found.features.shape == (30, 3 * 8 * 8)
    assert len(found.labels) == len(found.rotations) == 30
    identity = found.rotations @ found.rotations.mT
    torch.testing.assert_close(identity, torch.eye(3).expand(30, 3, 3), atol=1e-5, rtol=0)
    assert found.objects is not None
    assert len(found.objects.unique()) == 30
    together = real_poses(images, r"^(\w+)-").objects
    assert together is not None
    assert len(together.unique()) == 1  # of all keys "train"
    with pytest.raises(DataError, match="finds no object in train-000000"):
        real_poses(images, "car")


def test_thumbnails_are_means_of_fields() -> None:
    image = torch.zeros(1, 3, 16, 16)
    image[0, 0, :2, 2] = 1
    small = thumbnails(image).view(3, 8, 8)
    assert small[0, 0, 1] == 0.5
    assert small.sum() == 0.5
