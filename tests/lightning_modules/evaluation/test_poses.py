import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.poses import (
    PosedImages,
    class_rotation,
    nearest_photographs,
    pose_error,
    pose_errors,
    pose_floor,
)
from renderers.cameras import orbit_camera

FIELDS = ("features", "labels", "rotations", "objects")
CHANCE = math.degrees(math.pi / 2 + 2 / math.pi)


def rotations(count: int, seed: int = 0) -> Tensor:
    """Uniformly random (count, 3, 3), of random quaternions."""
    numbers = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    w, x, y, z = torch.nn.functional.normalize(numbers.double(), dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def about(axis: int, degrees: float) -> Tensor:
    vector = degrees * torch.eye(3, dtype=torch.float64)[axis].deg2rad()
    x, y, z = vector.tolist()
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(skew)


TURNS = torch.stack([about(1, 70), about(0, 40) @ about(2, -90)])
"""Of the worlds of two classes; 70 degrees, and acos((cos 40 - 1) / 2) = 96.7."""


def photographs(count: int = 200) -> PosedImages:
    """Of two classes; their features are their poses."""
    poses = rotations(count)
    return PosedImages(poses.flatten(1), torch.arange(count) % 2, poses)


def samples(count: int = 100) -> PosedImages:
    """The first of the photographs, taken in worlds turned by class."""
    seen = photographs(count)
    return replace(seen, rotations=TURNS[seen.labels].mT @ seen.rotations)


def test_the_rotation_of_each_class_is_undone_where_it_is_free() -> None:
    free = pose_error(photographs(), samples(), free=True)
    assert free.mean == pytest.approx(0, abs=1e-4)
    assert free.classes == 2
    known = pose_error(photographs(), samples(), free=False)
    apart = [70, math.degrees(math.acos((math.cos(math.radians(40)) - 1) / 2))]
    assert known.mean == pytest.approx(sum(apart) / 2, abs=1e-4)
    assert known.median == pytest.approx(sum(apart) / 2, abs=1e-4)  # half way between the two


def test_one_rotation_does_not_fit_two_classes() -> None:
    images = samples()
    together = replace(images, labels=torch.full_like(images.labels, -1))
    found = pose_error(photographs(), together, free=True)
    assert found.classes == 1
    assert found.mean > 30


def test_a_third_of_wrong_matches_does_not_turn_a_class() -> None:
    images = samples(300)
    wrong = torch.arange(300) % 3 == 2
    features = images.features.clone()
    features[wrong] = rotations(100, seed=1).flatten(1)
    found = pose_error(photographs(300), replace(images, features=features), free=True)
    assert found.median < 0.05
    errors = pose_errors(
        rotations(300, seed=1), images.rotations, torch.zeros(300, dtype=torch.long), free=True
    )
    assert found.mean == pytest.approx(float(errors.mean()) / 3, rel=0.15)


def test_wrong_matches_of_one_kind_turn_squares_but_not_distances() -> None:
    given = rotations(100)
    found = given.clone()
    found[:40] = about(1, 60) @ found[:40]
    squares = given.new_tensor(0.4) * about(1, 60) + 0.6 * torch.eye(3).double()
    middle = torch.rad2deg(torch.atan2(squares[0, 2], squares[0, 0]))
    assert middle > 20  # by which the least sum of squares is turned
    torch.testing.assert_close(
        class_rotation(found, given), torch.eye(3).double(), rtol=0, atol=0.01
    )


def test_a_rotation_never_mirrors() -> None:
    halves = torch.stack([about(axis, 180) for axis in range(3)])  # -1 is nearest to all of them
    found = class_rotation(halves, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(found @ found.mT, torch.eye(3).double())
    assert float(torch.linalg.det(found)) == pytest.approx(1)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize(("count", "classes"), [(2000, 1), (300, 100)])
def test_shuffled_features_are_about_chance_however_few_a_class_has(
    count: int, classes: int, free: bool
) -> None:
    labels = torch.arange(count) % classes
    errors = pose_errors(rotations(count), rotations(count, seed=1), labels, free)
    assert float(errors.mean()) == pytest.approx(CHANCE, abs=5)


def test_a_known_angle_is_told_exactly() -> None:
    camera = orbit_camera(torch.tensor([0.0, 0.001, 1.0, math.pi]), 0.0, 2.0, 40.0)
    poses, labels = camera.cam2world[:, :3, :3], torch.zeros(4, dtype=torch.long)
    errors = pose_errors(poses, poses[:1].expand(4, 3, 3), labels, free=False)
    expected = torch.rad2deg(torch.tensor([0.0, 0.001, 1.0, math.pi], dtype=torch.float64))
    torch.testing.assert_close(errors, expected, rtol=1e-3, atol=1e-4)


def test_photographs_are_of_the_same_class() -> None:
    real, labels = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 1, 0, -1])
    fake = torch.tensor([[1.1], [1.1], [1.1], [2.9]])
    found = nearest_photographs(real, labels, fake, torch.tensor([0, 1, -1, -1]))
    assert found.tolist() == [2, 1, 1, 3]


def test_features_count_as_they_are() -> None:
    real = torch.tensor([[0.0, 0.01], [1.0, 0.0]])  # the second hardly varies
    found = nearest_photographs(real, torch.zeros(2), torch.tensor([[0.9, 0.01]]), torch.zeros(1))
    assert found.tolist() == [1]


def test_photographs_of_the_same_object_are_left_out_of_the_floor() -> None:
    seen = photographs(40)
    both = replace(seen, objects=torch.arange(40) // 2 % 10)
    copies = replace(seen, rotations=about(1, 25) @ seen.rotations, objects=both.objects + 10)
    everything = PosedImages(
        *(torch.cat([getattr(part, name) for part in (both, copies)]) for name in FIELDS)
    )
    found = pose_floor(everything, both)  # the nearest of other objects are the copies
    assert found.mean == pytest.approx(25, abs=1e-4)
    assert found.median == pytest.approx(25, abs=1e-4)


def test_a_floor_without_objects_is_refused() -> None:
    with pytest.raises(ValueError, match="needs to know the objects"):
        pose_floor(photographs(), photographs())


def test_what_can_not_be_matched_is_refused() -> None:
    seen = photographs()
    with pytest.raises(DataError, match=r"class 2 has no photograph to be .*--real_images"):
        pose_error(seen, replace(seen, labels=seen.labels + 1), free=False)
    alone = replace(seen, objects=seen.labels)
    with pytest.raises(DataError, match="class 0 has no photograph of another object"):
        pose_floor(alone, alone)


def test_the_only_image_of_a_class_is_left_out() -> None:
    images = samples(3)  # two of class 0, one of class 1
    assert pose_error(photographs(), images, free=True).classes == 1
    alone = PosedImages(images.features[:2], images.labels[:2], images.rotations[:2])
    with pytest.raises(DataError, match="--samples"):
        pose_error(photographs(), alone, free=True)
