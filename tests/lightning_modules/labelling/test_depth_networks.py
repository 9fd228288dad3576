"""Depth models of transformers are opened by folder and see what they should, where it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import depth_folder, ramp, segmentation_folder
from torch import Tensor

from datamodules.errors import DataError
from datamodules.image_bytes import decode_map
from lightning_modules.labelling.depth_networks import (
    DepthNetwork,
    Gives,
    TransformersDepth,
    given_by,
    open_depth_network,
)

transformers = pytest.importorskip("transformers")
ODD = (37, 51)
"""No multiple of any patch."""


def network(predictor: Any, gives: Gives = "disparity", flip: bool = False) -> DepthNetwork:
    return DepthNetwork("mine", "0" * 64, gives, predictor, "cpu", "float32", flip)


@pytest.mark.parametrize(
    ("kind", "gives"), [("dpt", "disparity"), ("depth_anything", "disparity"), ("glpn", "depth")]
)
def test_models_are_opened_by_folder(kind: str, gives: str, tmp_path: Path) -> None:
    found = open_depth_network(depth_folder(kind, tmp_path), "cpu", "float32", flip=False)
    made = found.made()
    assert (made["network"], made["gives"]) == (f"transformers:{kind}", gives)
    assert len(str(made["weights"])) == 64
    assert found.label == f"transformers-{kind}-{found.weights[:8]}"
    pixels = torch.randint(0, 256, (2, 3, *ODD), dtype=torch.uint8)
    depth = found(pixels)
    assert depth.shape == (2, *ODD)
    assert depth.dtype == np.float32
    # Of an image alone and in company alike.
    assert found(pixels[1:])[0] == pytest.approx(depth[1], rel=1e-4, abs=1e-6)


def test_bf16_comes_near(tmp_path: Path) -> None:
    name = depth_folder("glpn", tmp_path)
    pixels = torch.randint(0, 256, (1, 3, *ODD), dtype=torch.uint8)
    exact, rough = (open_depth_network(name, "cpu", p, False)(pixels) for p in ("float32", "bf16"))
    assert rough == pytest.approx(exact, rel=0.02)
    assert not np.array_equal(rough, exact)


PROCESSORS = {
    "square": lambda: transformers.DPTImageProcessor(size={"height": 48, "width": 48}),
    "keeping": lambda: transformers.DPTImageProcessor(
        size={"height": 64, "width": 64}, keep_aspect_ratio=True, ensure_multiple_of=16
    ),
    "padding": lambda: transformers.ZoeDepthImageProcessor(size={"height": 64, "width": 64}),
    "rounding": lambda: transformers.GLPNImageProcessor(),
}


class Brightness:
    """A model whose depth is the brightness of what it sees, at half the size as some give it."""

    config = SimpleNamespace(model_type="dpt")

    def __call__(self, pixel_values: Tensor) -> Any:
        half = torch.nn.functional.avg_pool2d(pixel_values.mean(1), 2)
        return SimpleNamespace(predicted_depth=half)


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("size", [ODD, (64, 64), (50, 96)])
def test_what_is_seen_stays_where_it_is(kind: str, size: tuple[int, int]) -> None:
    """No shift by half a pixel, no mirroring, whatever the processor makes of the size."""
    seen = network(TransformersDepth(Brightness(), PROCESSORS[kind](), "cpu"))
    black, white = (
        float(seen(torch.full((1, 3, *size), value, dtype=torch.uint8)).mean())
        for value in (0, 255)
    )
    pixels = ramp(*size)
    found = 255 * (seen(pixels)[0] - black) / (white - black)
    off = (found - pixels[0, 0].numpy().astype(np.float64))[4:-4, 4:-4]
    step = 250 * 2 / 3 / size[1]  # of brightness from one column to the next
    assert np.abs(off.mean()) < 0.1 * step + 0.1
    assert np.abs(off).max() < 0.45 * step + 1


def test_flipping_averages_with_the_mirrored_image() -> None:
    columns = torch.linspace(0, 1, 20)

    def position(pixels: Tensor) -> Tensor:
        return columns.expand(len(pixels), 10, 20) + pixels[:, 0] / 255

    found = network(position, flip=True)(torch.zeros(1, 3, 10, 20, dtype=torch.uint8))
    assert found == pytest.approx(np.full((1, 10, 20), 0.5), abs=1e-6)
    assert network(position)(torch.zeros(1, 3, 10, 20, dtype=torch.uint8))[0, 0, 0] == 0


def test_near_is_large_whatever_the_network_gives() -> None:
    near_left = np.array([[1.0, 2.0, 4.0]], np.float32)
    depth = network(None, "depth").encoded(near_left)
    disparity = network(None, "disparity").encoded(near_left[:, ::-1])
    assert decode_map(depth, 16, (1, 3), "depth")[0].tolist() == pytest.approx(
        [65535, 32768, 16384], rel=0.01
    )
    assert decode_map(disparity, 16, (1, 3), "depth")[0].tolist() == [65535, 21846, 1]


@pytest.mark.parametrize("gives", ["disparity", "depth"])
def test_answers_that_say_nothing_are_refused(gives: Gives) -> None:
    with pytest.raises(ValueError, match="nowhere finite"):
        network(None, gives).encoded(np.full((2, 2), np.nan, np.float32))
    assert not decode_map(network(None, gives).unknown(2, 3), 16, (2, 3), "depth").any()


def test_what_a_network_gives_is_said_where_it_is_not_known(tmp_path: Path) -> None:
    name = depth_folder("depth_anything", tmp_path)
    folder = Path(name.removeprefix("transformers:"))
    config = transformers.AutoConfig.from_pretrained(folder)
    config.depth_estimation_type = "metric"
    config.save_pretrained(folder)
    assert open_depth_network(name, "cpu", "float32", False).gives == "depth"
    assert open_depth_network(name, "cpu", "float32", False, "disparity").gives == "disparity"


def test_dpt_over_dinov2_may_give_metres() -> None:
    config = SimpleNamespace(model_type="dpt", backbone_config=SimpleNamespace(model_type="dinov2"))
    with pytest.raises(DataError, match="whether it gives depth or disparity: say it in --gives"):
        given_by("net", config)
    assert given_by("net", SimpleNamespace(model_type="dpt", backbone_config=None)) == "disparity"


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("transformers:nothing", r"transformers can't open nothing .* name the folder of an depth"),
        ("nothing.ckpt", "There is no checkpoint nothing.ckpt"),
    ],
)
def test_what_is_not_there_is_named(network: str, sentence: str) -> None:
    with pytest.raises((DataError, FileNotFoundError), match=sentence):
        open_depth_network(network, "cpu", "float32", False)


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="transformers can't open"):
        open_depth_network(segmentation_folder("segformer", tmp_path), "cpu", "float32", False)
