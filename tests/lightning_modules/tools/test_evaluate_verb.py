"""`wild3d evaluate`, from checkpoints to a JSON file."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from evaluations import evaluated, read
from tiny_boxes import save_boxes
from tiny_checkpoints import TinyFiles
from tiny_classes import CLASSES, SIDE
from tiny_encoder import NETWORK, save_network
from torchvision.models.vgg import cfgs, make_layers

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.evaluation import real_features
from lightning_modules.evaluation.networks import open_network
from lightning_modules.inference.computing import drawing


def test_the_command_writes_figures_protocol_and_provenance(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    out, checkpoint = tmp_path / "a" / "evaluation.json", tiny_files.autoregressive
    options = ["--checkpoint", checkpoint, "--root", measured["root"], "--samples", "12"]
    options += ["--features", measured["features"], "--metrics", "fid,kid", "is", "nfs"]
    options += ["--is_splits", "2", "--batch_size", "5", "--top_k", "3", "--out", str(out)]
    assert main(["evaluate", *options]) == 0
    found, network = read(out), open_network(measured["features"])
    assert list(found["figures"]) == [
        f"fid/{network.name}",
        f"kid/{network.name}",
        f"kid_std/{network.name}",
        f"is/{network.name}",
        f"is_std/{network.name}",
        "nfs/disparity",
    ]
    assert found["figures"][f"fid/{network.name}"] > 0
    assert 1 <= found["figures"][f"is/{network.name}"] <= len(CLASSES)
    assert 1 <= found["figures"]["nfs/disparity"] <= 64
    protocol = found["protocol"]
    assert protocol["classes"] == {"chair": 6, "mug": 3, "oak tree": 3}
    assert (protocol["samples"], protocol["seeds"]) == (12, "0 to 11")
    assert (protocol["split"], protocol["real_images"]) == ("train", 24)
    assert (protocol["resolution"], protocol["kid_subset_size"]) == (SIDE, 12)
    assert (protocol["network"], protocol["network_sha256"]) == (network.name, network.weights)
    assert found["provenance"]["checkpoint"] == checkpoint
    assert protocol["render_precision"] == "float32"


def test_the_precision_of_rendering_is_told_and_measured_anew(
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []

    def note(device: str, precision: str) -> torch.autocast:
        drawn.append((device, precision))
        return drawing(device, "float32")  # bf16 kernels take minutes to compile

    monkeypatch.setattr("lightning_modules.tools.evaluate.drawing", note)
    options = measured | {"samples": 4, "metrics": ("nfs",), "device": "cpu"}
    whole, rounded = (
        evaluated(tiny_files.autoregressive, tmp_path / "out.json", **options | precision)
        for precision in ({}, {"render_precision": "bf16"})
    )
    assert rounded["protocol"] == whole["protocol"] | {"render_precision": "bf16"}
    assert drawn == [("cpu", "float32"), ("cpu", "bf16")]


def test_precision_recall_and_diversity(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"samples": 12, "metrics": ("pr", "diversity"), "neighbours": 2}
    found = evaluated(tiny_files.autoregressive, tmp_path / "out.json", **options)
    names = [label.partition("/")[0] for label in found["figures"]]
    assert names == ["precision", "recall", "diversity", "least_diversity"]
    precision, recall, diversity, least = found["figures"].values()
    assert 0 <= precision <= 1
    assert 0 <= recall <= 1
    assert diversity > least >= 0
    assert found["protocol"]["neighbours"] == 2
    greedy = evaluated(tiny_files.autoregressive, tmp_path / "b.json", **options, temperature=0.0)
    assert list(greedy["figures"].values())[2] == pytest.approx(0, abs=1e-4)  # all alike


def test_novel_views_are_compared_beside_the_canonical_one(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"samples": 8, "metrics": ("fid", "fid_3d", "kid", "kid_3d")}
    still = {"novel_yaw_degrees": 0.0, "novel_pitch_degrees": 0.0}
    found = evaluated(tiny_files.autoregressive, tmp_path / "a.json", **options, **still)
    names = ["fid", "fid_3d", "fid_3d_ratio", "kid", "kid_std", "kid_3d", "kid_3d_std"]
    assert [label.partition("/")[0] for label in found["figures"]] == names
    fid, fid_3d, ratio, kid, _, kid_3d, _ = found["figures"].values()
    assert (fid_3d, kid_3d) == pytest.approx((fid, kid), rel=1e-3)
    assert ratio == pytest.approx(1, rel=1e-3)
    turned = evaluated(tiny_files.autoregressive, tmp_path / "b.json", **options)
    assert turned["figures"][next(iter(found["figures"]))] == pytest.approx(fid, rel=1e-6)
    assert list(turned["figures"].values())[2] != pytest.approx(1, rel=1e-3)
    assert turned["protocol"]["novel_views"] == "canonical view turned by up to 22.5 and 10 degrees"


def test_real_images_are_compared_on_the_background_of_the_training(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"samples": 6, "metrics": ("fid",)}
    plain = evaluated(tiny_files.autoregressive, tmp_path / "plain.json", **options)
    options |= {"background": 1.0}
    isolated = evaluated(tiny_files.autoregressive, tmp_path / "isolated.json", **options)
    assert (plain["protocol"]["background"], isolated["protocol"]["background"]) == (None, 1.0)
    assert plain["figures"] != isolated["figures"]


def test_figures_depend_on_what_is_drawn_and_not_on_the_batches(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"metrics": ("kid",), "samples": 8}
    path, out = tiny_files.autoregressive, tmp_path / "out.json"
    first = evaluated(path, out, **options, batch_size=3)["figures"]
    again = evaluated(path, out, **options, batch_size=8)["figures"]
    assert first == pytest.approx(again, rel=1e-3)
    greedy = evaluated(path, out, **options, temperature=0.0)["figures"]
    assert greedy != pytest.approx(first, rel=1e-3)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights of Inception in the cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.usefixtures("offline")
def test_flatness_needs_no_network(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = ["--checkpoint", tiny_files.autoregressive, "--root", measured["root"]]
    options += ["--samples", "8", "--out", str(tmp_path / "e.json"), "--metrics"]
    assert main(["evaluate", *options, "fid", "nfs"]) == 2  # this one needs Inception
    assert main(["evaluate", *options, "nfs"]) == 0
    found = read(tmp_path / "e.json")
    assert list(found["figures"]) == ["nfs/disparity"]
    assert found["protocol"]["classes"] == {"chair": 4, "mug": 2, "oak tree": 2}
    assert "network" not in found["protocol"]
    assert not list(tmp_path.rglob("*.npz"))
    with_network = evaluated(
        tiny_files.autoregressive, tmp_path / "f.json", **measured, samples=8, metrics=("nfs",)
    )
    assert with_network["figures"] == found["figures"]


@pytest.mark.usefixtures("offline")
def test_floaters_of_objects_are_measured_as_they_are_drawn(
    measured: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior, out = save_boxes(tmp_path).prior, tmp_path / "e.json"
    command = ["evaluate", "--checkpoint", prior, "--root", measured["root"], "--samples", "4"]
    command += ["--batch_size", "3", "--out", str(out), "--metrics", "mesh_fou", "mask_fou"]
    assert main([*command, "--fou_resolution", "12"]) == 0
    figures = read(out)["figures"]
    assert list(figures) == ["mesh_fou/12", "mask_fou/opacity"]
    assert all(0 <= share < 1 for share in figures.values())
    assert f"| mesh_fou/12 (lower) | {figures['mesh_fou/12']:.4g} |" in capsys.readouterr().out


def test_networks_of_torchvision_measure_all_but_the_inception_score(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    weights = save_network(tmp_path / "network.pth")
    options = {"features": f"torchvision:{NETWORK}", "features_weights": weights}
    options |= {"root": measured["root"], "samples": 4, "cache": str(tmp_path / "cache")}
    with pytest.raises(DataError, match=r"metrics has is, which needs logits, and torchvision-squ"):
        evaluated("nowhere.ckpt", tmp_path / "out.json", **options)
    found = evaluated(tiny_files.autoregressive, tmp_path / "e.json", **options, metrics=("kid",))
    network = found["protocol"]["network"]
    assert network == f"torchvision-{NETWORK}-{found['protocol']['network_sha256'][:8]}"
    assert list(found["figures"]) == [f"kid/{network}", f"kid_std/{network}"]
    assert "network: to 224 px, bicubic with antialiasing" in found["protocol"]["resize"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{network}-16px-train.npz"]


def refusing(number: int) -> Callable[..., None]:
    """A writer of files that the system refuses."""

    def refuse(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    return refuse


def test_features_that_can_not_be_kept_are_a_note(
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(real_features, "replacing", refusing(errno.EROFS))
    options = measured | {"samples": 4, "metrics": ("fid",), "cache": str(tmp_path / "cache")}
    found = evaluated(tiny_files.autoregressive, tmp_path / "e.json", **options)
    assert found["figures"]
    assert "(read-only file system) and are computed anew each time" in capsys.readouterr().out


def test_figures_are_printed_before_they_are_written(
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lightning_modules.evaluation.results.write_json", refusing(errno.ENOSPC))
    options = ["--checkpoint", tiny_files.autoregressive, "--root", measured["root"]]
    options += ["--features", measured["features"], "--samples", "4", "--metrics", "fid"]
    assert main(["evaluate", *options, "--out", str(tmp_path / "e.json")]) == 2
    said = capsys.readouterr()
    assert "fid/classifier" in said.out
    assert "e.json can't be used (no space left on device)" in said.err


def test_the_place_of_the_figures_is_tried_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--checkpoint", "none.ckpt", "--root", "none", "--out", str(tmp_path)]
    assert main(command) == 2
    assert "which is a folder: name a file in it" in capsys.readouterr().err


def test_reconstructions_are_compared_with_their_photographs(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"metrics": ("kid", "psnr", "ssim"), "repeats": 3}
    found = evaluated(tiny_files.stage1, tmp_path / "e.json", **options)
    names = [label.partition("/")[0] for label in found["figures"]]
    assert names == ["rkid", "rkid_std", "psnr", "ssim"]
    protocol = found["protocol"]
    assert (protocol["split"], protocol["real_images"], protocol["samples"]) == ("val", 9, 3)
    assert protocol["classes"] == {"chair": 3, "mug": 3, "oak tree": 3}  # every image once
    whole = evaluated(tiny_files.stage1, tmp_path / "w.json", **options | {"repeats": 1})
    assert whole["figures"]["psnr"] == pytest.approx(found["figures"]["psnr"], rel=1e-4)
    sheet = iio.imread(tmp_path / "e.png")
    assert sheet.shape[1] == 7 * (SIDE + 2)  # photograph, scene, disparity and four novel views


def test_lpips_is_measured_with_the_weights_that_are_named(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "vgg16.pth"
    layers = make_layers(cfgs["D"], batch_norm=False).state_dict()
    torch.save({f"features.{name}": value for name, value in layers.items()}, weights)
    options = measured | {"metrics": ("lpips",), "samples": 4}
    with pytest.raises(FileNotFoundError, match="name its place in --perceptual_weights"):
        evaluated(tiny_files.stage1, tmp_path / "a.json", **options, perceptual_weights="no.pth")
    options |= {"perceptual_weights": str(weights)}
    found = evaluated(tiny_files.stage1, tmp_path / "b.json", **options)["figures"]
    ((label, value),) = found.items()
    assert re.fullmatch("lpips/vgg16-[0-9a-f]{8}", label)
    assert 0 < value < 2
