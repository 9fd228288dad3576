from dataclasses import replace

import pytest
import torch

from datamodules.packing import pack
from datamodules.schema import Attributes, Batch, PixelRays, TokenBatch
from renderers.cameras import Camera


def batch(depth=None) -> Batch:
    return Batch(
        keys=("a", "b"),
        image=torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).repeat(2, 1, 2, 2),
        label=torch.tensor([1, -1]),
        depth=depth,
        camera=Camera(torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1)),
        attributes=Attributes(torch.full((2, 3), float("nan")), torch.tensor([0, -1])),
        rays=PixelRays(torch.arange(24.0).view(2, 2, 2, 3), -torch.arange(24.0).view(2, 2, 2, 3)),
    )


def test_floats_lie_between_0_and_1():
    depth = torch.tensor([0, 65535], dtype=torch.uint16).view(2, 1, 1).repeat(1, 2, 2)
    example = batch(depth)
    assert example.float_image()[0, :, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    assert example.disparity()[:, 0, 0].tolist() == [0, 1]
    assert example.disparity_known()[:, 0, 0].tolist() == [False, True]


def test_moving_moves_every_tensor():
    moved = batch(torch.zeros(2, 2, 2, dtype=torch.uint16)).to("meta")
    assert moved.keys == ("a", "b")
    assert moved.mask is None
    tensors = [moved.image, moved.label, moved.depth, moved.camera.cam2world]
    tensors += [moved.camera.intrinsics, moved.attributes.size, moved.attributes.time_of_day]
    tensors += [moved.rays.origins, moved.rays.directions]
    assert len(moved.tensors()) == len(tensors)
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_rays_go_with_the_rows_and_through_shared_memory():
    whole = batch()
    for part in (whole[1:], pack(whole).unpack()[1:]):
        assert part.keys == ("b",)
        assert part.rays.origins.flatten(1, 2)[0, :, 0].tolist() == [12, 15, 18, 21]
        assert torch.equal(part.rays.directions, -part.rays.origins)


def test_a_mirrored_batch_shows_the_world_mirrored_at_x_0():
    mask = torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8).repeat(2, 1, 1)
    given = replace(batch(torch.zeros(2, 2, 2, dtype=torch.uint16)), mask=mask)
    mirrored = given.mirrored()
    assert mirrored.rays.origins[0, 0].tolist() == [[-3, 4, 5], [0, 1, 2]]
    assert torch.equal(mirrored.rays.directions, -mirrored.rays.origins)
    assert mirrored.depth is None
    assert mirrored.camera is None
    assert mirrored.mask[0].tolist() == [[1, 0], [255, 2]]
    again = mirrored.mirrored()
    assert torch.equal(again.image, batch().image)
    assert torch.equal(again.rays.origins, batch().rays.origins)


def test_a_batch_without_depth_says_how_to_get_it():
    with pytest.raises(ValueError, match="set depth: true"):
        batch().disparity()


def token_batch() -> TokenBatch:
    features = torch.tensor([[1.0, 2.0], [float("nan")] * 2, [3.0, 4.0]])
    attributes = Attributes(torch.full((3, 3), 1.5), torch.tensor([0, -1, 2]), features)
    tokens = torch.arange(12).view(3, 4)
    return TokenBatch(("a", "b", "c"), tokens, torch.tensor([5, -1, 7]), attributes)


def test_every_tensor_of_a_token_batch_is_visited():
    example = token_batch()
    assert len(example) == 3
    attributes = example.attributes
    known = [attributes.size, attributes.time_of_day, attributes.semantics]
    visited = example.tensors()
    assert len(visited) == 5
    pairs = zip(visited, [example.tokens, example.label, *known], strict=True)
    assert all(a is b for a, b in pairs)
    moved = example.to("meta")
    assert {tensor.device.type for tensor in moved.tensors()} == {"meta"}
    assert moved.keys == example.keys


def test_a_part_of_a_token_batch_keeps_its_rows_together():
    part = token_batch()[1:]
    assert isinstance(part, TokenBatch)
    assert part.keys == ("b", "c")
    assert part.tokens.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert part.label.tolist() == [-1, 7]
    apart = token_batch()[[2, 0]]
    assert apart.keys == ("c", "a")
    assert apart.tokens.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert len(token_batch()[[]].tokens) == 0
    assert part.attributes.time_of_day.tolist() == [-1, 2]
    assert part.attributes.semantics[1].tolist() == [3, 4]
    assert part.attributes.semantics[0].isnan().all()


def test_semantics_that_are_not_loaded_stay_none():
    assert batch()[:1].attributes.semantics is None
