import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import mutations
from tiny_shards import IMAGES, SIDE, reference_keys, tiny_root
from tiny_tokens import tiny_token_root

from datamodules.augment import Draw
from datamodules.build.encode import encode_tokens
from datamodules.errors import DataError
from datamodules.join import RawSample
from datamodules.shard_datamodule import ShardDataModule
from datamodules.token_datamodule import TokenDataModule
from datamodules.tokens import TokenDecoder


@pytest.fixture(scope="module")
def token_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of the images of `root`; do not alter."""
    folder = tmp_path_factory.mktemp("tokens")
    tiny_token_root(folder)
    return folder


def ready(root, batch_size=3, **settings) -> TokenDataModule:
    datamodule = TokenDataModule(str(root), batch_size, **{"lanes": 4, **settings})
    datamodule.setup()
    return datamodule


def two_passes(loader):
    return [*loader, *loader]


@pytest.mark.parametrize("workers", [0, 2])
def test_tokens_come_as_the_images_do_and_mirrored_alike(root, token_root, workers):
    images = ShardDataModule(str(root), SIDE, 11, camera=True, num_workers=0, lanes=4, seed=5)
    images.setup()
    tokens = ready(token_root, 11, num_workers=workers, seed=5)
    views = set()
    passes = zip(
        two_passes(images.train_dataloader()), two_passes(tokens.train_dataloader()), strict=True
    )
    for image, token in passes:
        assert image.keys == token.keys
        numbers = torch.tensor([int(key[1:]) for key in token.keys])
        assert torch.equal(token.tokens[:, 0], numbers)
        # The camera of image n stands at x = n, that of the mirrored image at x = -n.
        mirrored = token.tokens[:, 1] == 1
        assert torch.equal(torch.where(mirrored, -numbers, numbers), camera_x(image))
        assert torch.equal(token.label, image.label)
        views |= set(token.tokens[:, 1].tolist())
    assert views == {0, 1}


def camera_x(batch):
    return batch.camera.cam2world[:, 0, 3].long()


def test_batches_have_the_types_that_models_take(token_root):
    batch = next(iter(ready(token_root, semantics=2).train_dataloader()))
    assert (batch.tokens.shape, batch.tokens.dtype) == ((3, 3), torch.int64)
    assert batch.label.dtype == torch.int64
    assert batch.attributes.time_of_day.tolist() == [2, 2, 2]
    assert batch.attributes.size.isnan().all()
    assert torch.equal(batch.attributes.semantics[:, 0].long(), batch.tokens[:, 0])
    assert next(iter(ready(token_root).train_dataloader())).attributes.semantics is None


def test_semantics_of_another_length_name_both(token_root):
    with pytest.raises(DataError, match=r"its semantics has 2 numbers, the datamodule's .* is 7"):
        next(iter(ready(token_root, semantics=7).train_dataloader()))


def test_without_flip_and_in_validation_no_image_is_mirrored(token_root):
    run = ready(token_root, flip=False)
    assert not any(batch.tokens[:, 1].any() for batch in two_passes(run.train_dataloader()))
    batches = list(ready(token_root).val_dataloader())
    assert [key for batch in batches for key in batch.keys] == [
        f"k{n}" for n in (100, 101, 102, 103, 110, 111, 112)
    ]
    assert not any(batch.tokens[:, 1].any() for batch in batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_continues_at_any_image(token_root, workers):
    first = ready(token_root, 4)
    state = {**first.state_dict(), "images_seen": IMAGES + 6}
    second = ready(token_root, 2, num_workers=workers)
    second.load_state_dict(state)
    keys = [key for batch in second.train_dataloader() for key in batch.keys]
    assert keys == reference_keys(IMAGES + 6 + len(keys))[IMAGES + 6 :]
    with pytest.raises(DataError, match=r"trained with {'seed': 0.*this run has {'seed': 1"):
        ready(token_root, seed=1).load_state_dict(state)


def test_the_root_tells_the_stage1_weights(token_root):
    assert ready(token_root).stage1_hash == "feed"
    assert ready(token_root).token_settings.codes == 200
    with pytest.raises(DataError, match="call setup"):
        TokenDataModule(str(token_root), 2).stage1_hash  # noqa: B018


def test_each_kind_of_root_names_its_datamodule(root, token_root):
    with pytest.raises(DataError, match=r"holds images, not tokens: load it with .*ShardDataMod"):
        ready(root)
    with pytest.raises(DataError, match=r"holds tokens, not images: load it with .*TokenDataMod"):
        ShardDataModule(str(token_root), SIDE, 2).setup()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 0}, "batch_size is 0, it must be from 1"),
        ({"lanes": 0}, "lanes is 0, it must be from 1 to 100,000"),
        ({"semantics": -1}, "semantics is -1, it must be from 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(token_root, settings, sentence):
    with pytest.raises(DataError, match=sentence):
        ready(token_root, **settings)


def test_flip_needs_mirrored_views(tmp_path):
    tiny_token_root(tmp_path, views=1)
    with pytest.raises(DataError, match=r"holds no tokens of mirrored images: set flip: false"):
        ready(tmp_path)
    assert len(ready(tmp_path, flip=False).train_dataloader()) == IMAGES // 3


def test_a_manifest_that_does_not_describe_its_tokens_is_told(tmp_path):
    manifest = tiny_token_root(tmp_path)
    text = manifest.to_json().replace('"stage1"', '"weights"')
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"does not describe its tokens \('stage1'\)"):
        ready(tmp_path)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('"tokens": 3', r"its tokens are \(2, 3\) uint16, expected \(2, 5\) unsigned integers"),
        ('"codes": 200', r"it has token \d+, the codebook 5 codes"),
    ],
)
def test_tokens_that_do_not_fit_the_manifest_are_named(tmp_path, setting, sentence):
    manifest = tiny_token_root(tmp_path)
    name = setting.split(":")[0]
    (tmp_path / "manifest.json").write_text(manifest.to_json().replace(setting, f"{name}: 5"))
    with pytest.raises(DataError, match=rf"train/tokens-00000\d.tar, key k\d+: {sentence}"):
        two_passes(ready(tmp_path).train_dataloader())


def test_unreadable_tokens_are_named_or_skipped(tmp_path):
    tiny_token_root(tmp_path, train=(5,))
    path = tmp_path / "train/tokens-000000.tar"
    path.write_bytes(path.read_bytes().replace(b"\x93NUMPY", b"broken", 1))
    with pytest.raises(DataError, match=r"key k000: its tokens cannot be read \(the magic string"):
        list(ready(tmp_path, 5).train_dataloader())
    run = ready(tmp_path, 5, on_error="skip", max_skipped_share=0.5)
    (batch,) = run.train_dataloader()
    assert run.skipped == 1
    assert sorted(batch.keys) == ["k001", "k001", "k002", "k003", "k004"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"codes": 0}, "codes is 0, expected 1 to"),
        ({"codes": "many"}, "codes is 'many', expected an integer"),
        ({"tokens": True}, "tokens is True, expected an integer"),
        ({"tokens": 1e9}, "tokens is 1000000000.0, expected an integer"),
        ({"views": 3}, "views is 3, expected 1 to 2"),
        ({"stage1": None}, "stage1 is None, expected text"),
        ({"resolution": -1}, "resolution is -1, expected 1 to"),
    ],
)
def test_settings_of_tokens_are_checked_where_they_are_read(tmp_path, settings, sentence):
    manifest = tiny_token_root(tmp_path)
    changed = replace(manifest, parameters={**manifest.parameters, **settings})
    (tmp_path / "manifest.json").write_text(changed.to_json())
    with pytest.raises(DataError, match=f"does not describe its tokens .{sentence}"):
        ready(tmp_path, flip=False)


def tokens_decoder() -> TokenDecoder:
    return TokenDecoder(tokens=3, codes=200, views=2, flip=False)


def decoded(content: bytes):
    raw = RawSample("k", "tokens.npy", bytearray(content), {}, {})
    return tokens_decoder()(raw, Draw(False, 0.0, 0.0)).tokens


def test_no_bytes_make_the_decoder_of_tokens_fail():
    whole = encode_tokens(np.arange(6).reshape(2, 3), 200)
    assert decoded(whole).tolist() == [0, 1, 2]
    for content in mutations(whole, 1000):
        with contextlib.suppress(ValueError):
            assert decoded(content).shape == (3,)


@pytest.mark.parametrize("order", ["C", "F"])
def test_tokens_in_another_order_of_bytes_or_axes_are_read(order):
    buffer = io.BytesIO()
    np.save(buffer, np.asarray([[5, 6, 199], [1, 2, 3]], ">u2", order=order))
    assert decoded(buffer.getvalue()).tolist() == [5, 6, 199]


def test_tokens_that_announce_more_than_they_have_take_no_memory():
    whole = encode_tokens(np.zeros((2, 3), np.int64), 200)
    with pytest.raises(ValueError, match=r"its tokens are \(2, 3000000000000\) uint16, at most"):
        decoded(whole.replace(b"(2, 3), }            ", b"(2, 3000000000000), }"))


def test_token_roots_need_no_images(tmp_path):
    assert tiny_token_root(tmp_path / "tokens").modalities == ("tokens",)
    assert tiny_root(tmp_path / "images", sidecars=False).modalities == ("rgb",)
