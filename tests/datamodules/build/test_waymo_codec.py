"""Compressed rays: an encoder written from the description of the format, and our decoder."""

import json
from pathlib import Path

import numpy as np
import pytest
from ray_encoder import RayEncoder
from waymo_files import crop_row, fitted

from datamodules.build.waymo.codec import RayCodec, read_codec, roughness
from datamodules.build.waymo.tables import RowError
from datamodules.errors import DataError

ROWS = [
    crop_row(number, height, width, distance=10.0 + number)
    for number, (height, width) in enumerate(((40, 48), (33, 61), (64, 24), (52, 52)))
]
CODEC = fitted(ROWS, components=30)


def stored(tmp_path: Path, **changes: object) -> Path:
    config = CODEC.config()
    config["pca"] |= {name: value for name, value in changes.items() if name in config["pca"]}
    config |= {name: value for name, value in changes.items() if name not in config["pca"]}
    path = tmp_path / "codec_config.json"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def decoder(tmp_path: Path) -> RayCodec:
    return read_codec(stored(tmp_path))


def decoded(decoder: RayCodec, code: dict) -> np.ndarray:
    values = (np.asarray(code[n]) for n in ("reference", "quantized_values", "shape"))
    return np.concatenate(decoder.decode(*values), -1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "x".join(map(str, row.own.shape)))
def test_rays_come_back_up_to_rounding_of_their_components(decoder: RayCodec, row) -> None:
    rays = np.concatenate([row.origins, row.directions], -1)
    found = decoded(decoder, CODEC.encode(rays))
    assert found.shape == rays.shape
    tiles = RayEncoder.tiles(rays, 8)[1]
    exact = CODEC.coefficients(tiles) @ CODEC.vectors * CODEC.std + CODEC.mean
    error = np.abs(exact - tiles).max()  # of leaving components out
    rounding = (CODEC.steps / 2) @ np.abs(CODEC.vectors * CODEC.std)
    assert np.abs(found - rays).max() <= error + rounding.max() + 2e-6
    assert error < 1e-3


def test_codes_come_back_from_decoded_rays(decoder: RayCodec) -> None:
    row = crop_row(9, 48, 40)  # whole tiles, so that nothing is reflected
    code = CODEC.encode(np.concatenate([row.origins, row.directions], -1))
    again = CODEC.encode(decoded(decoder, code))
    assert np.allclose(again["reference"], code["reference"], atol=1e-5)
    steps = np.tile(CODEC.steps, 30)
    assert len(steps) == len(code["quantized_values"])
    difference = (again["quantized_values"] - code["quantized_values"]) * steps
    assert np.abs(difference).max() < 1e-2 * np.abs(code["quantized_values"] * steps).max()


def test_a_cameras_own_directions_have_no_roughness_and_noise_is_found() -> None:
    directions = ROWS[0].directions
    assert roughness(directions) < 1e-5
    noise = np.random.default_rng(0).normal(0, 1e-4, directions.shape).astype(np.float32)
    assert 1e-4 < roughness(directions + noise) < 1e-3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": [40, 49, 6]}, "another size than their shape"),
        ({"shape": []}, "a wrong shape"),
        ({"shape": [0, 48, 6]}, "a wrong shape"),
        ({"reference": [0.0] * 5}, "a wrong shape"),
        ({"quantized_values": [1, 2, 3]}, r"another size than their shape \(3 numbers, 40 x 48\)"),
    ],
)
def test_codes_that_do_not_fit_are_refused(decoder: RayCodec, changes, reason) -> None:
    code = CODEC.encode(np.concatenate([ROWS[0].origins, ROWS[0].directions], -1))
    with pytest.raises(RowError, match=reason):
        decoded(decoder, code | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tile_size": 0}, "tile_size is not from 1 to 256"),
        ({"tile_size": "8"}, "tile_size is not from 1 to 256"),
        ({"tile_size": 7}, r"mean is \(384,\), not finite numbers of \(294,\)"),
        ({"quantization": [0.1]}, "eigen_vectors is "),
        ({"quantization": []}, "quantization is "),
        ({"std": [1.0]}, r"std is \(1,\)"),
        ({"mean": "x"}, "could not convert"),
        ({"eigen_vectors": [[1.0], [1.0, 2.0]]}, "inhomogeneous"),
        ({"pca": None}, "pca is None, expected an object"),
        ({"pca": {}}, "it has no 'mean'"),
    ],
)
def test_a_malformed_codec_is_one_sentence(tmp_path: Path, changes, reason) -> None:
    path = stored(tmp_path, **changes)
    with pytest.raises(DataError, match=rf"codec_config.json is no codec of rays \(.*{reason}"):
        read_codec(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 9999])
def test_what_is_no_json_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "codec_config.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"codec_config.json is no codec of rays \(.*download"):
        read_codec(path)


def test_a_missing_codec_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"codec_config.json is missing: download it"):
        read_codec(tmp_path / "codec_config.json")
