import pytest
import torch

from datamodules.schema import Attributes, Batch
from renderers.cameras import Camera


def batch(depth=None) -> Batch:
    return Batch(
        keys=("a", "b"),
        image=torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).repeat(2, 1, 2, 2),
        label=torch.tensor([1, -1]),
        depth=depth,
        camera=Camera(torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1)),
        attributes=Attributes(torch.full((2, 3), float("nan")), torch.tensor([0, -1])),
    )


def test_floats_lie_between_0_and_1():
    depth = torch.tensor([0, 65535], dtype=torch.uint16).view(2, 1, 1).repeat(1, 2, 2)
    example = batch(depth)
    assert example.float_image()[0, :, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    assert example.disparity()[:, 0, 0].tolist() == [0, 1]
    assert example.disparity_known()[:, 0, 0].tolist() == [False, True]


def test_moving_moves_every_tensor():
    moved = batch(torch.zeros(2, 2, 2, dtype=torch.uint16)).to("meta", non_blocking=True)
    assert moved.keys == ("a", "b")
    assert moved.mask is None
    tensors = [moved.image, moved.label, moved.depth, moved.camera.cam2world]
    tensors += [moved.camera.intrinsics, moved.attributes.size, moved.attributes.time_of_day]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_a_batch_without_depth_says_how_to_get_it():
    with pytest.raises(ValueError, match="set depth: true"):
        batch().disparity()
