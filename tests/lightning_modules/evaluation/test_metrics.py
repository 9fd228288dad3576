"""Figures out of what was measured, with known answers."""

import math

import pytest
import torch
from torch import Tensor

from lightning_modules.evaluation.feature_network import Features
from lightning_modules.evaluation.measures import Measures
from lightning_modules.evaluation.metrics import MeasuredWith, Truth, better, left_out, metrics_of
from lightning_modules.evaluation.real_features import RealFeatures
from lightning_modules.evaluation.settings import MetricName, MetricSettings


def features(vectors: Tensor) -> Features:
    return Features(vectors, torch.zeros(len(vectors), 0))


def figures(
    metric: MetricName, real: RealFeatures, vectors: Tensor, labels: Tensor, of: MeasuredWith
) -> dict[str, float]:
    none, count = torch.zeros(len(labels), 0), len(labels)
    rotations, clouds = torch.zeros(count, 3, 3), torch.zeros(count, 0, 6)
    novel = features(vectors + 1)
    measured = Measures(labels, features(vectors), novel, {}, rotations, none, clouds, none)
    return metrics_of(measured, Truth(real), MetricSettings((metric,)), of)


def normal(count: int, scale: float, seed: int) -> Tensor:
    return scale * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_a_class_that_has_collapsed_is_the_least_diverse() -> None:
    labels, of = torch.arange(4000) % 2, MeasuredWith("net")
    vectors = normal(4000, 1.0, 0)
    real = RealFeatures(features(vectors + 9 * labels[:, None]), labels)
    half = torch.where(labels[:, None] == 0, 1.0, 0.1) * vectors - 5 * labels[:, None]
    found = figures("diversity", real, half, labels, of)
    assert found["least_diversity/net"] == pytest.approx(0.1, rel=0.05)
    assert found["diversity/net"] == pytest.approx(math.sqrt((1 + 0.01) / 2), rel=0.02)
    unknown = figures("diversity", real, half, torch.full((4000,), -1), of)
    assert list(unknown) == ["diversity/net"]
    assert unknown["diversity/net"] < 0.7  # of all images, which are of two classes


def test_real_images_that_are_all_alike_measure_no_diversity() -> None:
    labels = torch.arange(8) % 2
    real = RealFeatures(features(torch.ones(8, 4)), labels)
    found = figures("diversity", real, normal(8, 1.0, 0), labels, MeasuredWith("net"))
    assert all(math.isnan(share) for share in found.values())


def test_distances_are_named_after_what_they_are_of() -> None:
    labels = torch.zeros(600, dtype=torch.long)
    real, fake = RealFeatures(features(normal(600, 1.0, 0)), labels), normal(600, 1.0, 1)
    drawn = figures("fid_3d", real, fake + 2, labels, MeasuredWith("net"))
    assert list(drawn) == ["fid_3d/net", "fid_3d_ratio/net"]
    assert drawn["fid_3d/net"] == pytest.approx(36, rel=0.05)  # moved by 3 along 4 axes
    assert drawn["fid_3d_ratio/net"] == pytest.approx(36 / 16, rel=0.05)
    made = figures("fid", real, fake + 2, labels, MeasuredWith("net", reconstructions=True))
    assert made["rfid/net"] == pytest.approx(16, rel=0.05)
    assert {better(label) for label in ("rfid/net", "fid_3d_ratio/net", "mmd/2048")} == {"lower"}
    assert {better(label) for label in ("recall/net", "psnr")} == {"higher"}
    assert better("kid_std/net") is None


def test_scenes_without_a_figure_are_left_out_and_told() -> None:
    none, nan = torch.zeros(3, 0), math.nan
    figure = {"nfs": torch.tensor([1.0, nan, 4.0]), "psnr": torch.tensor([nan] * 3)}
    rotations, clouds = torch.zeros(3, 3, 3), torch.zeros(3, 0, 6)
    nothing, labels = Features.none(3), torch.zeros(3, dtype=torch.long)
    measured = Measures(labels, nothing, nothing, figure, rotations, none, clouds, none)
    truth, of = Truth(RealFeatures(nothing, labels)), MeasuredWith("")
    assert metrics_of(measured, truth, MetricSettings(("nfs",)), of) == {"nfs/disparity": 2.5}
    assert left_out(measured)["nfs"] == "1 scene without anything to see"
    assert math.isnan(metrics_of(measured, truth, MetricSettings(("psnr",)), of)["psnr"])
    assert left_out(measured)["psnr"] == "3 scenes in which nothing known is seen"
