"""The places that read what users download, with files of our own making to begin from."""

import io
import json
import tarfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import torch
from fuzz_mutations import (
    mutate_bytes,
    mutate_json,
    mutate_png,
    mutate_tar,
    mutate_zip,
    tar_of,
)
from fuzz_runner import Boundary
from PIL import Image
from tiny_checkpoints import autoregressive, save_prior, save_stage1, spread_model
from tiny_gan import save_gan
from tiny_samples import SIDE, tiny_sample

from datamodules.augment import Augmentation, draw
from datamodules.build.encode import encode_camera, encode_depth, encode_mask, encode_rays
from datamodules.build.encode import encode_tokens as encode_token_views
from datamodules.build.prepare import Preparation
from datamodules.build.sources import read_classes
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.join import JoinedShard, RawSample
from datamodules.manifest import FileInfo, Manifest, ShardInfo
from datamodules.modalities import TIMES_OF_DAY, TOKENS_EXTENSION
from datamodules.picture import PictureError
from datamodules.remote import read_manifest
from datamodules.tokens import TokenDecoder
from lightning_modules.cli.main import main
from lightning_modules.evaluation import real_features
from lightning_modules.evaluation.feature_network import Features
from lightning_modules.evaluation.real_features import RealFeatures
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.inference.token_files import TokenScenes, read_tokens, write_tokens
from lightning_modules.pictures.drawing import gif_bytes, mp4_bytes, write_png

_RNG = np.random.default_rng(0)
_PIXELS = _RNG.integers(0, 256, (24, 20, 3), dtype=np.uint8)
_DEPTH = _RNG.integers(1, 65536, (SIDE, SIDE)).astype(np.uint16)
_MASK = _RNG.choice(np.array([0, 1, 2, 255], np.uint8), (SIDE, SIDE))


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _photographs(folder: Path) -> Sequence[bytes]:
    rgb = Image.fromarray(_PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6
    images = [
        _encoded(rgb, "JPEG"),
        _encoded(rgb, "JPEG", progressive=True, exif=exif),
        _encoded(rgb.convert("CMYK"), "JPEG"),
        _encoded(rgb, "WEBP"),
        _encoded(rgb, "WEBP", lossless=True),
        _encoded(rgb, "GIF"),
        _encoded(rgb, "TIFF"),
        _encoded(rgb, "TIFF", compression="tiff_lzw"),
        _encoded(rgb, "BMP"),
        _encoded(Image.fromarray(_PIXELS[..., 0].astype(np.uint16) * 257), "TIFF"),
    ]
    return images + list(_pngs(folder))


def _pngs(folder: Path) -> Sequence[bytes]:
    rgb = Image.fromarray(_PIXELS)
    return [
        _encoded(rgb, "PNG"),
        _encoded(rgb.convert("RGBA"), "PNG"),
        _encoded(rgb.quantize(16), "PNG", transparency=3),
        _encoded(Image.fromarray(_PIXELS[..., 0].astype(np.uint16) * 257), "PNG"),
        _encoded(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)]),
    ]


def _prepare(folder: Path, content: bytes) -> None:
    Preparation(8).image(content)


def _stored_images(folder: Path) -> Sequence[bytes]:
    """JPEG, WebP and PNG, the first byte tells which."""
    square = Image.fromarray(_PIXELS[:SIDE, :SIDE])
    kinds = (("JPEG", b"0"), ("WEBP", b"1"), ("PNG", b"2"))
    return [mark + _encoded(square, kind) for kind, mark in kinds]


def _decode_stored(folder: Path, content: bytes) -> None:
    extension = ("jpg", "webp", "png")[content[0] % 3] if content else "png"
    _decode(content[1:], extension, {}, {})


def _decode(
    payload: bytes, extension: str, record: object, sidecars: dict[str, bytes], rays: bool = False
) -> None:
    decoder = ImageDecoder(Augmentation(SIDE), semantics=3, rays=rays)
    parts = {name: bytearray(content) for name, content in sidecars.items()}
    raw = RawSample("k", extension, bytearray(payload), record, parts)  # type: ignore[arg-type]
    decoder(raw, draw(0, "k", 0))


_SMALL = _encoded(Image.fromarray(_PIXELS[:SIDE, :SIDE]), "PNG")


def _maps(folder: Path) -> Sequence[bytes]:
    """Depth maps and masks, the first byte tells which."""
    return [b"0" + encode_depth(_DEPTH), b"1" + encode_mask(_MASK)]


def _decode_map(folder: Path, content: bytes) -> None:
    name = "depth" if content[:1] == b"0" else "mask"
    _decode(_SMALL, "png", {}, {name: content[1:]})


def _png_after_mark(content: bytes, rng: object) -> bytes:
    return content[:1] + mutate_png(content[1:], rng)  # type: ignore[arg-type]


def _rays(folder: Path) -> Sequence[bytes]:
    directions = _RNG.normal(size=(SIDE, SIDE, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return [
        encode_camera(np.eye(4), np.eye(3)),
        encode_rays(_RNG.normal(size=(SIDE, SIDE, 3)), directions),
    ]


def _decode_rays(folder: Path, content: bytes) -> None:
    _decode(_SMALL, "png", {}, {"rays": content}, rays=True)


def _records(folder: Path) -> Sequence[bytes]:
    record = {"label": 1, "class": "a", "size": [1, 2.5, 3], "time_of_day": TIMES_OF_DAY[0]}
    return [json.dumps(record | {"semantics": [0.5, 1, 2]}).encode(), b'{"label":0}']


def _read_record(folder: Path, content: bytes) -> None:
    _read_shard(folder, tar_of({"k.png": _SMALL, "k.json": content}), 1)


def _tars(folder: Path) -> Sequence[bytes]:
    samples = [tiny_sample(number, False) for number in range(3)]
    members = {name: data for s in samples for name, data in s.members("rgb")}
    long = {f"{'folder/' * 20}{name}": data for name, data in members.items()}
    return [tar_of(members), tar_of(long, tarfile.GNU_FORMAT), tar_of(long, tarfile.PAX_FORMAT)]


def _read_tar(folder: Path, content: bytes) -> None:
    _read_shard(folder, content, 3)


def _read_shard(folder: Path, content: bytes, samples: int) -> None:
    """Read every sample of a shard as training does, faults refused and faults skipped."""
    path = folder / "train" / "rgb-000000.tar"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    info = ShardInfo("000000", samples, {"rgb": FileInfo("0" * 64, len(content))})
    for strict in (False, True):
        shard = JoinedShard(str(folder), "train", info, ("rgb",), strict)
        try:
            for row in range(samples):
                try:
                    raw = shard.read(row)
                    ImageDecoder(Augmentation(SIDE), semantics=3)(raw, draw(0, raw.key, 0))
                except (DataError, ValueError):
                    if strict:
                        raise
        finally:
            shard.close()


def _manifests(folder: Path) -> Sequence[bytes]:
    files = {"rgb": FileInfo("ab" * 32, 10240), "mask": FileInfo("cd" * 32, 10240)}
    shards = (ShardInfo("000000", 3, files), ShardInfo("000001", 2, files))
    splits = {"train": shards, "val": shards[:1]}
    manifest = Manifest(splits, ("a", "b"), ("rgb", "mask"), 64, {"tool": "x", "seed": 0})
    return [manifest.to_json().encode()]


def _read_manifest(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    read_manifest(str(folder))


def _token_arrays(folder: Path) -> Sequence[bytes]:
    return [encode_token_views(_RNG.integers(0, 512, (2, 4)), 512)]


def _decode_tokens(folder: Path, content: bytes) -> None:
    decoder = TokenDecoder(tokens=4, codes=512, views=2, flip=True)
    decoder(RawSample("k", TOKENS_EXTENSION, bytearray(content), {}, {}), draw(0, "k", 0))


def _token_files(folder: Path) -> Sequence[bytes]:
    model = spread_model()
    tokens = torch.zeros(2, model.layout.tokens, dtype=torch.int64)
    scenes = TokenScenes(tokens, ["a", "b"], [0, 1], [3, 4])
    write_tokens(folder / "tokens.npz", scenes, model, "note")
    return [(folder / "tokens.npz").read_bytes()]


def _read_token_file(folder: Path, content: bytes) -> None:
    path = folder / "given.npz"
    path.write_bytes(content)
    read_tokens(str(path), spread_model(), "stage1.ckpt")


def _feature_caches(folder: Path) -> Sequence[bytes]:
    path, features = folder / "features.npz", Features(torch.rand(5, 4), torch.rand(5, 3))
    real_features._write(path, "key", RealFeatures(features, torch.arange(5)))
    return [path.read_bytes()]


def _read_features(folder: Path, content: bytes) -> None:
    (folder / "given.npz").write_bytes(content)
    real_features._read(folder / "given.npz", "key", 5, 5)


def _checkpoints(folder: Path) -> Sequence[bytes]:
    model = spread_model()
    stage1 = save_stage1(model, folder / "stage1.ckpt")
    prior = save_prior(autoregressive(model), model, stage1, folder / "prior.ckpt")
    return [Path(path).read_bytes() for path in (stage1, prior, save_gan(folder / "gan.ckpt"))]


def _open_checkpoint(folder: Path, content: bytes) -> None:
    path = folder / "given.ckpt"
    path.write_bytes(content)
    open_maker(str(path))


def _files_with_a_note(folder: Path) -> Sequence[bytes]:
    """PNG, GIF, MP4 and GLB with the command that made them; the first byte tells which."""
    picture = torch.rand(3, 16, 16)
    write_png(folder / "a.png", picture, "note")
    makers = (gif_bytes, mp4_bytes)
    found = [(folder / "a.png").read_bytes(), *(m([picture] * 2, note="note") for m in makers)]
    return [b"%d" % number + content for number, content in enumerate(found)]


def _read_note(folder: Path, content: bytes) -> None:
    path = folder / f"given.{('png', 'gif', 'mp4')[content[0] % 3] if content else 'png'}"
    path.write_bytes(content[1:])
    read_provenance(path)


def _mask_files(folder: Path) -> Sequence[bytes]:
    return [encode_depth(_DEPTH), encode_mask(_MASK), *_pngs(folder)]


def _prepare_maps(folder: Path, content: bytes) -> None:
    path = folder / "given.png"
    path.write_bytes(content)
    with suppress(PictureError):
        Preparation(8).mask(path, (SIDE, SIDE))
    Preparation(8).depth(path, (SIDE, SIDE), "metres_mm")


def _class_lists(folder: Path) -> Sequence[bytes]:
    return [b"a cat\nb dog\n", "\ufeffa Kätzchen\r\n".encode(), "a cat".encode("utf-16")]


def _read_class_list(folder: Path, content: bytes) -> None:
    path = folder / "classes.txt"
    path.write_bytes(content)
    read_classes(str(path), ("a", "b"), "photos")


def _configurations(folder: Path) -> Sequence[bytes]:
    text = "checkpoint: none.ckpt\nclasses: [a, b]\nseeds: [0, 1]\ntruncation: 0.7\nout: x\n"
    aliases = "a: &a [x, x]\nb: &b [*a, *a]\n" + "classes: [*b, *b]\n"
    return [text.encode(), (text + "top_p: 0.9\n").encode(), aliases.encode()]


def _read_configuration(folder: Path, content: bytes) -> None:
    path = folder / "given.yaml"
    path.write_bytes(content)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        try:
            code = main(["sample", "--config", str(path)])
        except SystemExit as stop:
            code = int(stop.code or 0)
    if code == 2 and "There is no checkpoint none.ckpt" not in errors.getvalue():
        raise DataError(errors.getvalue())


_SAMPLE_FAULTS = (ValueError,)
_FILE_FAULTS = (DataError, FileNotFoundError)

BOUNDARIES = (
    Boundary("photographs", _photographs, (mutate_bytes,), _prepare, (PictureError,)),
    Boundary("png photographs", _pngs, (mutate_png,), _prepare, (PictureError,)),
    Boundary("stored images", _stored_images, (mutate_bytes,), _decode_stored, _SAMPLE_FAULTS),
    Boundary("stored pngs", _maps, (_png_after_mark, mutate_bytes), _decode_map, _SAMPLE_FAULTS),
    Boundary("mask and depth files", _mask_files, (mutate_png,), _prepare_maps, (PictureError,)),
    Boundary("rays", _rays, (mutate_zip,), _decode_rays, _SAMPLE_FAULTS),
    Boundary("records", _records, (mutate_json,), _read_record, (DataError, ValueError)),
    Boundary("tars", _tars, (mutate_tar,), _read_tar, (DataError, ValueError)),
    Boundary("manifests", _manifests, (mutate_json,), _read_manifest, _FILE_FAULTS),
    Boundary("tokens", _token_arrays, (mutate_bytes,), _decode_tokens, _SAMPLE_FAULTS),
    Boundary("token files", _token_files, (mutate_zip,), _read_token_file, _FILE_FAULTS),
    Boundary("feature caches", _feature_caches, (mutate_zip,), _read_features, _FILE_FAULTS),
    Boundary("checkpoints", _checkpoints, (mutate_zip,), _open_checkpoint, _FILE_FAULTS),
    Boundary("notes", _files_with_a_note, (mutate_bytes,), _read_note, _FILE_FAULTS),
    Boundary("class lists", _class_lists, (mutate_bytes,), _read_class_list, _FILE_FAULTS),
    Boundary("configurations", _configurations, (mutate_bytes,), _read_configuration, _FILE_FAULTS),
)
