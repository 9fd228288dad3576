"""Segmentation models of transformers, torchvision and ONNX, small ones of the real classes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import NAMES, ramp, salient_file, segmentation_folder
from torch import Tensor
from torchvision.models import get_model

from datamodules.errors import DataError
from datamodules.image_bytes import decode_map
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER
from lightning_modules.labelling.class_map import ClassMap
from lightning_modules.labelling.mask_networks import (
    MaskNetwork,
    Segmenter,
    class_map_for,
    open_segmenter,
)
from lightning_modules.labelling.onnx_segmenter import SALIENT, OnnxSegmenter, read_onnx_settings
from lightning_modules.labelling.torchvision_segmenter import TorchvisionSegmenter
from lightning_modules.labelling.transformers_segmenter import TransformersSegmenter

ODD = (37, 51)
CARS = ClassMap(object=("car",), occluder=("tree",), rest="background")


def opened(network: str, task: Any = "semantic", **options: Any) -> Segmenter:
    settings = {"weights": None, "threshold": 0.5, "device": "cpu"} | options
    return open_segmenter(network, task, **settings)


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("segformer", "semantic"),
        ("mask2former", "semantic"),
        ("mask2former", "panoptic"),
        ("mask2former", "instance"),
    ],
)
def test_models_of_transformers_are_opened_by_folder(kind: str, task: str, tmp_path: Path) -> None:
    segmenter = opened(segmentation_folder(kind, tmp_path), task, threshold=0.0)
    scores = "" if task == "semantic" else ", scores from 0"
    assert segmenter.name == f"transformers:{kind}, {task}{scores}"
    assert dict(segmenter.classes) == NAMES
    assert segmenter.parts_objects == (task != "semantic")
    pixels = torch.randint(0, 256, (2, 3, *ODD), dtype=torch.uint8)
    codes = MaskNetwork.of(segmenter, CARS)(pixels)
    assert codes.shape == (2, *ODD)
    assert set(np.unique(codes)) <= {0, 1, 2, 255}


def bright_right(size: tuple[int, int], share: float = 0.5) -> np.ndarray:
    """Where the ramp is brighter than a share of white."""
    found: np.ndarray = ramp(*size)[0, 0].numpy() > 255 * share
    return found


class BrightCar:
    """A semantic model to which what is bright is a car, at a quarter of the size."""

    config = SimpleNamespace(id2label=NAMES, model_type="segformer")

    def __call__(self, pixel_values: Tensor) -> Any:
        bright = torch.nn.functional.avg_pool2d(pixel_values.mean(1, keepdim=True), 4)
        middle = (0.5 - 0.449) / 0.226  # as the processor normalises it
        scores = torch.cat([middle - bright, bright - middle, bright - 9], 1)
        return SimpleNamespace(logits=scores)


@pytest.mark.parametrize("size", [ODD, (64, 64), (50, 96)])
def test_a_mask_lies_where_its_object_is(size: tuple[int, int]) -> None:
    transformers = pytest.importorskip("transformers")
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 64})
    segmenter = TransformersSegmenter("mine", BrightCar(), processor, "semantic", 0.5, "cpu")
    codes = MaskNetwork.of(segmenter, CARS)(ramp(*size))[0]
    wrong = (codes == MASK_OBJECT) != bright_right(size)
    # The edge is slanted: at most a pixel beside it may be on the wrong side.
    near = np.abs(ramp(*size)[0, 0].numpy() - 127.5) < 1.2 * 250 * 2 / 3 / size[1] + 2
    assert not (wrong & ~near).any()
    assert wrong.mean() < 0.03


def test_panoptic_parts_are_told_apart() -> None:
    processor = SimpleNamespace(
        post_process_panoptic_segmentation=lambda outputs, **_: [
            {
                "segmentation": torch.tensor([[4, 4, 7], [0, 7, 7]]),
                "segments_info": [{"id": 4, "label_id": 1}, {"id": 7, "label_id": 1}],
            }
        ]
    )
    segmenter = TransformersSegmenter("mine", BrightCar(), processor, "panoptic", 0.5, "cpu")
    (segments,) = [
        segmenter._of_parts(found) for found in processor.post_process_panoptic_segmentation(None)
    ]
    assert segments.part.tolist() == [[0, 0, 1], [-1, 1, 1]]
    assert segments.classes.tolist() == [1, 1]
    assert segments.gap == "unknown"


def test_a_task_that_a_model_can_not_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="panoptic segmentation model"):
        opened(segmentation_folder("segformer", tmp_path), "panoptic")


@pytest.fixture(scope="module")
def lraspp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lraspp.pth"
    torch.manual_seed(0)
    model = get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None)
    torch.save(model.state_dict(), path)
    return path


def test_models_of_torchvision_are_opened_by_name(lraspp: Path) -> None:
    segmenter = opened("torchvision:lraspp_mobilenet_v3_large", weights=str(lraspp))
    assert segmenter.classes[7] == "car"
    found = segmenter(torch.randint(0, 256, (2, 3, *ODD), dtype=torch.uint8))
    assert [segments.part.shape for segments in found] == [ODD, ODD]
    with pytest.raises(DataError, match="does not hold the weights of torchvision's fcn_resnet50"):
        opened("torchvision:fcn_resnet50", weights=str(lraspp))


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("torchvision:resnet50", "no segmentation model 'resnet50': name one of deeplabv3_m"),
        ("torchvision:fcn_resnet50", r"needs weights and .* does not exist: download https"),
        ("net.onnx", "--network is net.onnx: name transformers:NAME"),
        ("net.yaml", "there is no file net.yaml"),
    ],
)
def test_what_is_not_there_is_named(network: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        opened(network)


def test_a_semantic_mask_of_torchvision_lies_where_its_object_is() -> None:
    def bright(seen: Tensor) -> dict[str, Tensor]:
        level = seen.mean(1, keepdim=True)[:, :, ::2, ::2]
        middle = (0.5 - 0.449) / 0.226
        return {"out": torch.cat([middle - level, level - middle, level - 9], 1)}

    segmenter = TorchvisionSegmenter("mine", "0", NAMES, bright, 74, 0.5, "cpu")
    codes = MaskNetwork.of(segmenter, CARS)(ramp(*ODD))[0]
    assert ((codes == MASK_OBJECT) != bright_right(ODD)).mean() < 0.03


def test_instances_of_torchvision_above_the_threshold_count() -> None:
    masks = torch.zeros(3, 1, 2, 4)
    masks[0, 0, :, :2], masks[1, 0, :, 1:], masks[2] = 0.9, 0.9, 0.9
    found = {
        "masks": masks,
        "labels": torch.tensor([1, 1, 2]),
        "scores": torch.tensor([0.9, 0.8, 0.3]),
    }
    segmenter = TorchvisionSegmenter("mine", "0", NAMES, lambda _: [found], None, 0.5, "cpu")
    network = MaskNetwork.of(segmenter, ClassMap(("car",), rest="background", one_object=True))
    codes = network(torch.zeros(1, 3, 2, 4, dtype=torch.uint8))[0]
    # The surer one is before the other; both are cars, of which one is the object.
    assert codes.tolist() == [[MASK_OBJECT] * 2 + [MASK_OCCLUDER] * 2] * 2
    nothing = {name: value[:0] for name, value in found.items()}
    segmenter = TorchvisionSegmenter("mine", "0", NAMES, lambda _: [nothing], None, 0.5, "cpu")
    codes = MaskNetwork.of(segmenter, CARS)(torch.zeros(1, 3, 2, 4, dtype=torch.uint8))[0]
    assert (codes == MASK_BACKGROUND).all()


def test_instances_are_asked_of_networks_that_tell_them_apart() -> None:
    segmenter = TorchvisionSegmenter("mine", "0", NAMES, None, 520, 0.5, "cpu")
    with pytest.raises(DataError, match="mine does not tell objects of one class apart: leave one"):
        MaskNetwork.of(segmenter, ClassMap(("car",), one_object=True))


def salient(folder: Path, *lines: str, maps: int = 1) -> str:
    salient_file(folder / "salient.onnx", maps)
    text = "\n".join(["file: salient.onnx", "side: 64", *lines])
    (folder / "salient.yaml").write_text(text)
    return str(folder / "salient.yaml")


PLAIN = ("mean: [0, 0, 0]", "std: [1, 1, 1]", "threshold: 0.5")


@pytest.mark.parametrize("size", [ODD, (64, 64), (50, 96)])
def test_an_onnx_network_finds_what_is_bright(size: tuple[int, int], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    segmenter = opened(salient(tmp_path, *PLAIN))
    network = MaskNetwork.of(segmenter, SALIENT)
    codes = network(ramp(*size))[0]
    assert ((codes == MASK_OBJECT) != bright_right(size)).mean() < 0.03
    assert set(np.unique(codes)) == {MASK_BACKGROUND, MASK_OBJECT}
    made = network.made()
    assert str(made["network"]).startswith("onnx:salient.onnx, 64 px, mean [0, 0, 0]")
    assert len(str(made["weights"])) == 64


def test_mean_deviation_and_output_of_an_onnx_network_count(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    lines = ("mean: [0.7, 0.7, 0.7]", "std: [0.5, 0.5, 0.5]", "threshold: 0", "output: d1")
    found = opened(salient(tmp_path, *lines))(ramp(*ODD))[0].part
    assert ((found == 1) != ~bright_right(ODD, 0.7)).mean() < 0.03
    stretched = opened(salient(tmp_path / "b", *PLAIN[:2], "threshold: 0.25", "stretch: true"))
    dark = (ramp(*ODD).float() / 5).to(torch.uint8)
    assert ((stretched(dark)[0].part == 1) != bright_right(ODD, 0.25)).mean() < 0.06


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("mean: [0, 0]",), r"\.mean has 2 values, not 3"),
        (("std: [0, 1, 1]",), "std is 0.0, it must be from 1e-06|std is 0"),
        (("means: [0, 0, 0]",), "'means', which is none of file, side"),
        (("output: d9",), "gives d0, d1, not d9"),
    ],
)
def test_wrong_settings_of_an_onnx_network_are_refused(
    lines: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(DataError, match=sentence):
        opened(salient(tmp_path, *lines))


def test_an_onnx_network_of_several_maps_fails(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    settings = read_onnx_settings(salient(tmp_path, *PLAIN, maps=2))
    with pytest.raises(ValueError, match=r"\(1, 2, 64, 64\) instead of one map of foreground"):
        OnnxSegmenter.open(settings, "cpu")(ramp(*ODD))


def test_what_onnxruntime_says_of_an_image_is_its_fault(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    segmenter = OnnxSegmenter.open(read_onnx_settings(salient(tmp_path, *PLAIN)), "cpu")

    class Refusing:
        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="seen")]

        def run(self, *_: object) -> None:
            raise Exception("Got invalid dimensions\nand more")

    refusing = OnnxSegmenter(segmenter.settings, Refusing(), "0")
    with pytest.raises(ValueError, match=r"^Got invalid dimensions$"):
        refusing(ramp(*ODD))


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = salient(tmp_path, *PLAIN)
    (tmp_path / "salient.onnx").write_bytes(b"garbage")
    with pytest.raises(DataError, match=r"onnxruntime can't open .*salient.onnx"):
        opened(path)


def test_classes_are_needed_where_a_network_has_many() -> None:
    assert class_map_for("salient.yaml", None) == SALIENT
    with pytest.raises(DataError, match="torchvision:x has classes, which may be objects"):
        class_map_for("torchvision:x", None)


def test_an_image_without_an_object_has_no_label() -> None:
    segmenter = TorchvisionSegmenter("mine", "0", NAMES, None, 520, 0.5, "cpu")
    network = MaskNetwork.of(segmenter, CARS)
    with pytest.raises(ValueError, match="it shows no object"):
        network.encoded(np.zeros((2, 3), np.uint8))
    assert (decode_map(network.unknown(2, 3), 8, (2, 3), "mask") == 255).all()
