"""Shards with rays of the pixels, from the writer to augmented batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_samples import tiny_sample

from datamodules.augment import Augmentation, cut_camera, draw
from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_camera, encode_png, encode_rays
from datamodules.build.sidecar import register_sidecar, write_sidecar
from datamodules.errors import DataError
from datamodules.rays import PinholeCamera
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from renderers.cameras import Camera, orbit_camera
from renderers.rays import Rays, camera_rays

SIDE, FOV = 12, 40.0
SIZES = (5, 3, 4)
SPACING = 2 * np.tan(np.radians(FOV / 2)) / SIDE


def camera_of(number: int) -> Camera:
    return orbit_camera(torch.tensor([0.1 * number]), torch.tensor([0.2]), 2.5, FOV)


def rays_file(number: int) -> bytes:
    rays = camera_rays(camera_of(number), SIDE, SIDE)
    return encode_rays(*(v.view(SIDE, SIDE, 3).numpy() for v in (rays.origins, rays.directions)))


def camera_file(number: int) -> bytes:
    camera = camera_of(number)
    return encode_camera(camera.cam2world[0].numpy(), camera.intrinsics[0].numpy())


def build(root: Path, sidecar) -> Path:
    def samples(split: str, shard: int):
        for number in range(10 * shard, 10 * shard + SIZES[shard]):
            image = encode_png(np.full((SIDE, SIDE, 3), number, np.uint8))
            plain = replace(tiny_sample(number, False), image_bytes=image)
            yield replace(plain, rays_npz=None if sidecar is None else sidecar(number))

    build_shards(root, {"train": SIZES}, samples, 1, list("abcd"), SIDE, {"tool": "test"})
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of images with the rays of `camera_of`; do not alter."""
    return build(tmp_path_factory.mktemp("rays"), rays_file)


def loader(root: Path, images_seen: int = 0, workers: int = 0, **settings):
    wanted = {"resolution": 8, "crop": "random", "crop_share": 0.75, "rays": True, **settings}
    run = ShardDataModule(str(root), batch_size=4, num_workers=workers, lanes=4, **wanted)
    run.setup()
    run.images_seen = images_seen
    return run.train_dataloader()


def expected_rays(key: str, epoch: int, augmentation: Augmentation) -> Rays:
    """Rays of the camera of a training image."""
    numbers = draw(0, key, epoch)
    window = augmentation.window(SIDE, SIDE, numbers)
    camera = camera_of(int(key[1:]))
    pinhole = PinholeCamera(camera.cam2world[0].numpy(), camera.intrinsics[0].numpy())
    pose, matrix = map(torch.from_numpy, cut_camera(pinhole, window, (SIDE, SIDE), numbers.flip))
    resolution = augmentation.resolution
    return camera_rays(Camera(pose[None], matrix[None]), resolution, resolution)


@pytest.mark.parametrize("sidecar", [rays_file, camera_file])
@pytest.mark.parametrize("resolution", [8, 9])
def test_batches_carry_the_rays_of_their_pixels(tmp_path, sidecar, resolution):
    augmentation = Augmentation(resolution, "random", 0.75, flip=True)
    seen = 0
    for batch in loader(build(tmp_path, sidecar), resolution=resolution):
        rays = Rays(batch.rays.origins.flatten(1, 2), batch.rays.directions.flatten(1, 2))
        for row, key in enumerate(batch.keys):
            expected = expected_rays(key, 0, augmentation)
            assert torch.allclose(rays.origins[row], expected.origins[0], atol=1e-5)
            error = (rays.directions[row] - expected.directions[0]).norm(dim=-1).max()
            # At 9 pixels the window of 9 is not resized; the writer's tolerance is 1e-5.
            assert error <= 2e-5 + (resolution == 8) * 0.1 * SPACING**2
            seen += 1
    assert seen == sum(SIZES)


def equal(a: Batch, b: Batch) -> bool:
    pairs = [(a.image, b.image), (a.rays.origins, b.rays.origins)]
    pairs += [(a.rays.directions, b.rays.directions)]
    return a.keys == b.keys and all(torch.equal(x, y) for x, y in pairs)


def test_worker_processes_give_the_same_rays(root):
    one, two = loader(root), loader(root, workers=2)
    for _ in range(2):
        assert all(equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_resumed_run_goes_on_with_the_same_rays(root):
    uninterrupted = loader(root)
    whole = [*uninterrupted, *uninterrupted]
    resumed = list(loader(root, images_seen=8))
    assert all(equal(a, b) for a, b in zip(whole[2:5], resumed, strict=True))


def test_a_root_may_mix_rays_and_cameras_unless_cameras_are_asked_for(root, tmp_path):
    build(tmp_path, lambda number: (camera_file if number == 11 else rays_file)(number))
    for mixed, pure in zip(loader(tmp_path), loader(root), strict=True):
        assert mixed.keys == pure.keys
        assert (mixed.rays.directions - pure.rays.directions).abs().max() < 0.1 * SPACING**2
    sentence = r"train/rgb-00000\d.tar, key k\d+: it has rays of its pixels and no pinhole camera:"
    with pytest.raises(DataError, match=f"^{sentence} set camera: false, rays: true"):
        list(loader(tmp_path, camera=True))


def test_of_a_camera_both_can_be_had(tmp_path):
    for batch in loader(build(tmp_path, camera_file), camera=True):
        expected = camera_rays(batch.camera, 8, 8)
        assert torch.allclose(batch.rays.directions.flatten(1, 2), expected.directions, atol=1e-6)


def test_rays_added_later_are_joined(root, tmp_path):
    build(tmp_path, None)
    with pytest.raises(DataError, match="has rgb, no rays: set camera: false and rays: false"):
        loader(tmp_path)
    for shard, size in enumerate(SIZES):
        numbers = range(10 * shard, 10 * shard + size)
        contents = ((f"k{number:03d}", rays_file(number)) for number in numbers)
        write_sidecar(tmp_path, "train", f"{shard:06d}", "rays", contents)
    register_sidecar(tmp_path, "rays")
    assert all(equal(a, b) for a, b in zip(loader(tmp_path), loader(root), strict=True))
