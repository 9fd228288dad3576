"""Small models of the real classes of transformers, torchvision and ONNX, saved as they are
published, and a picture whose label is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

LAYERS = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
NECK: dict[str, Any] = {
    "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8,
    "reassemble_factors": [4, 2, 1, 0.5],
}


def ramp(height: int, width: int) -> Tensor:
    """An image (1, 3, H, W) uint8 that brightens to the right and, half as fast, downwards: moved,
    mirrored or turned it is another."""
    y, x = np.mgrid[:height, :width]
    grey = 250 * ((x + 0.5) / width * 2 + (y + 0.5) / height) / 3
    return torch.from_numpy(np.rint(grey).astype(np.uint8)).expand(1, 3, -1, -1)


def depth_folder(kind: str, folder: Path) -> str:
    """A depth model with random weights, and its processor; the name to open it by."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    stages = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
    if kind == "dpt":
        vit = LAYERS | {"intermediate_size": 24, "image_size": 32, "patch_size": 8}
        config = transformers.DPTConfig(
            **vit, **NECK, backbone_out_indices=[0, 1, 2, 3], is_hybrid=False
        )
        model = transformers.DPTForDepthEstimation(config)
        processor = transformers.DPTImageProcessor(size={"height": 32, "width": 32})
    elif kind == "depth_anything":
        backbone = transformers.Dinov2Config(
            **LAYERS, **stages, image_size=28, patch_size=14, reshape_hidden_states=False
        )
        config = transformers.DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=16,
            patch_size=14,
            head_hidden_size=8,
            **NECK,
        )
        model = transformers.DepthAnythingForDepthEstimation(config)
        processor = transformers.DPTImageProcessor(
            size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14
        )
    elif kind == "glpn":
        config = transformers.GLPNConfig(
            hidden_sizes=[8] * 4, depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8
        )
        model = transformers.GLPNForDepthEstimation(config)
        processor = transformers.GLPNImageProcessor()
    else:
        raise ValueError(kind)
    for part in (model, processor):
        part.save_pretrained(folder / kind)
    return f"transformers:{folder / kind}"


NAMES = {0: "road", 1: "car", 2: "tree"}


def segmentation_folder(kind: str, folder: Path) -> str:
    """A segmentation model of three classes with random weights, and its processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    labels = {"id2label": NAMES, "label2id": {name: n for n, name in NAMES.items()}}
    if kind == "segformer":
        config = transformers.SegformerConfig(
            hidden_sizes=[8] * 4,
            depths=[1] * 4,
            num_attention_heads=[1] * 4,
            decoder_hidden_size=8,
            **labels,
        )
        model = transformers.SegformerForSemanticSegmentation(config)
        processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 64})
    elif kind == "mask2former":
        backbone = transformers.SwinConfig(
            embed_dim=8,
            depths=[1] * 4,
            num_heads=[1] * 4,
            window_size=2,
            image_size=64,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        config = transformers.Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=32,
            mask_feature_size=32,
            hidden_dim=32,
            encoder_feedforward_dim=8,
            encoder_layers=1,
            decoder_layers=2,
            dim_feedforward=8,
            num_attention_heads=1,
            num_queries=4,
            **labels,
        )
        model = transformers.Mask2FormerForUniversalSegmentation(config)
        processor = transformers.Mask2FormerImageProcessor(
            size={"height": 64, "width": 64}, ignore_index=255
        )
    else:
        raise ValueError(kind)
    for part in (model, processor):
        part.save_pretrained(folder / kind)
    return f"transformers:{folder / kind}"


def salient_file(path: Path, maps: int = 1) -> Path:
    """An ONNX network whose foreground is what is bright: the mean of the channels as it sees them,
    and beside it, as published ones have, another output."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    seen = helper.make_tensor_value_info("seen", kind, ["N", 3, "H", "W"])
    found = [
        helper.make_tensor_value_info(name, kind, ["N", maps, "H", "W"]) for name in ("d0", "d1")
    ]
    axes = helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1])
    nodes = [helper.make_node("ReduceMean", ["seen", "axes"], ["mean"], keepdims=1)]
    nodes.append(helper.make_node("Concat", ["mean"] * maps, ["d0"], axis=1))
    nodes.append(helper.make_node("Neg", ["d0"], ["d1"]))
    graph = helper.make_graph(nodes, "salient", [seen], found, [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
