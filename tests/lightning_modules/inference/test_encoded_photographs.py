"""Photographs in shards are read with their masks, rays and boxes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_boxes import SIDE, box_model, write_layout
from tiny_checkpoints import save_stage1

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_camera, encode_mask, encode_png
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.inference.encoded_photographs import photo_scene, photo_tokens, photo_view
from lightning_modules.inference.layout_assets import make_assets
from lightning_modules.inference.layout_file import read_layout
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.photographs import find_images, load_photograph, load_square
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import photos_passage
from lightning_modules.inference.tokenise import tokenise
from lightning_modules.stage1_rays import view_images
from models.autoencoder import UNKNOWN
from models.scenes import Scenes
from renderers.cameras import orbit_camera


def sample(number: int) -> EncodedSample:
    """Noise with a mask, seen by a camera of its own, in a box of its own."""
    noise = np.random.default_rng(number)
    camera = orbit_camera(torch.tensor([0.5 * number]), torch.tensor([0.3]), 2.5, 40.0)
    return EncodedSample(
        key=f"k{number}",
        image_bytes=encode_png(noise.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)),
        image_ext="png",
        json_record={"label": 0, "class": "a", "size": [1.0, 0.6, 0.2 + 0.3 * number]},
        mask_png=encode_mask(noise.integers(0, 3, (SIDE, SIDE), dtype=np.uint8)),
        rays_npz=encode_camera(camera.cam2world[0].numpy(), camera.intrinsics[0].numpy()),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    parts = {"train": [1], "val": [2]}

    def samples(split: str, shard: int):
        yield from map(sample, range(2) if split == "val" else [2])

    build_shards(folder, parts, samples, 1, ["a"], SIDE, {"tool": "test"})
    return folder


@pytest.fixture(scope="module")
def batch(root: Path) -> Batch:
    """The validation images as the loader gives them."""
    data = ShardDataModule(str(root), SIDE, 2, mask=True, rays=True, num_workers=0)
    data.setup("validate")
    (found,) = data.val_dataloader()
    return found


def test_tokens_are_those_of_the_loaders_images(root: Path, batch: Batch) -> None:
    model = box_model()
    (path,) = find_images([f"{root}/k1"])
    photo = load_photograph(path, SIDE)
    tokens = photo_tokens(model, photo)
    assert torch.equal(tokens, tokenise(model, batch)[1:])
    assert not torch.equal(tokens, model.encode(photo.pixels).tokens)


def test_scenes_are_in_their_boxes_and_seen_along_their_rays(root: Path, batch: Batch) -> None:
    model = box_model()
    photo = load_photograph(root / "k1", SIDE)
    scenes = photo_scene(model, photo)
    size = batch.size()
    assert size is not None
    # Boxes have their height along y.
    torch.testing.assert_close(2 * scenes.space.half_extents, size[1:, [0, 2, 1]])
    view = photo_view(model, photo, scenes, SIDE, 1000)
    both = model.decode_tokens(tokenise(model, batch)).in_boxes(size)
    expected = view_images(model, both, batch)
    torch.testing.assert_close(view.rgb, expected.rgb[1:], atol=1e-4, rtol=0)
    larger = photo_view(model, photo, scenes, 4 * SIDE, 1000)
    halved = torch.nn.functional.avg_pool2d(larger.rgb, 4)
    assert (halved - view.rgb).abs().mean() < 0.02


def test_a_file_is_seen_by_the_canonical_camera(root: Path, tmp_path: Path) -> None:
    pixels = load_square(root / "k0", SIDE)
    image = (255 * pixels[0]).round().to(torch.uint8).permute(1, 2, 0)
    Image.fromarray(image.numpy()).save(tmp_path / "k0.png")
    photo = load_photograph(tmp_path / "k0.png", SIDE)
    assert torch.equal(photo.pixels, pixels)
    assert photo.sight == UNKNOWN
    model = box_model()
    scenes = photo_scene(model, photo)
    view = photo_view(model, photo, scenes, SIDE, 1000)
    torch.testing.assert_close(view.rgb, scenes.view(scenes.canonical, SIDE, SIDE).rgb)


def test_pixels_of_shards_are_enlarged_as_those_of_files_are(root: Path) -> None:
    small, large = load_square(root / "k0", SIDE), load_square(root / "k0", 4 * SIDE)
    assert large.shape[-1] == 4 * SIDE
    assert 0 <= large.min() <= large.max() <= 1
    halved = torch.nn.functional.avg_pool2d(large, 4)
    assert (halved - small).abs().mean() < 0.5 * (halved - small.flip(-1)).abs().mean()
    with pytest.raises(DataError, match="smaller than resolution"):
        load_photograph(root / "k0", 4 * SIDE)


def test_roots_and_keys_that_cannot_be_read_are_told(root: Path) -> None:
    with pytest.raises(DataError, match=rf"{root} holds shards: name their photographs by keys"):
        find_images([str(root)])
    (path,) = find_images([f"{root}/gone"])
    with pytest.raises(DataError, match="has no image gone; it has k0, k2, for example"):
        load_photograph(path, SIDE)


def sides(scenes: Scenes) -> list[float]:
    """Length, width and height of a scene's box."""
    return (2 * scenes.space.half_extents[0, [0, 2, 1]]).tolist()


def test_between_photographs_boxes_move_from_one_label_to_the_other(root: Path) -> None:
    passage = photos_passage(box_model(), [f"{root}/k0", f"{root}/k1"])
    assert sides(passage.scene_at(0.0)) == pytest.approx([1.0, 0.6, 0.2])
    assert sides(passage.scene_at(0.5)) == pytest.approx([1.0, 0.6, 0.35])
    assert sides(passage.scene_at(1.0)) == pytest.approx([1.0, 0.6, 0.5])


def test_in_layouts_photographs_keep_their_boxes(root: Path, tmp_path: Path) -> None:
    photos = {
        name: {"image": f"{root}/{name}", "at": [n, 0, 0]} for n, name in enumerate(("k0", "k1"))
    }
    middle = {"between": ["k0", "k1"], "share": 0.5, "at": [3, 0, 0]}
    layout = read_layout(write_layout(tmp_path, {"assets": photos | {"middle": middle}}))
    checkpoint = save_stage1(box_model(), tmp_path / "best.ckpt")
    made = make_assets(layout, partial(open_maker, checkpoint, None), SamplingOptions(), "cpu")
    heights = {name: sides(asset.scene)[2] for name, asset in made.items()}
    assert heights == pytest.approx({"k0": 0.2, "k1": 0.5, "middle": 0.35})
