"""`wild3d evaluate` of several checkpoints, in several processes, and continued."""

import json
import statistics
from pathlib import Path

import pytest
from evaluations import evaluated, read
from tiny_boxes import save_boxes
from tiny_checkpoints import TinyFiles, run
from tiny_depth import save_depth_network
from tiny_gan import save_gan, tiny_gan

from datamodules.errors import DataError
from lightning_modules.evaluation.parts import Parts
from lightning_modules.tools.evaluate import evaluate


def test_checkpoints_are_compared_in_one_table_with_their_spread(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    both = [tiny_files.autoregressive, tiny_files.masked]
    options = measured | {"samples": 4, "repeats": 3, "metrics": ("nfs",)}
    out, logs = tmp_path / "e.json", tmp_path / "tensorboard"
    run(evaluate, both, out=str(out), tensorboard=str(logs), **options)
    results = json.loads(out.read_text())["results"]
    assert [result["protocol"]["checkpoint"] for result in results] == both
    assert [result["protocol"]["seeds"] for result in results] == ["0 to 11"] * 2
    figure = results[0]["figures"]["nfs/disparity"]
    assert figure["deviation"] == pytest.approx(statistics.stdev(figure["repeats"]))
    assert len(set(figure["repeats"])) == 3  # other seeds
    whole = evaluated(both[0], tmp_path / "w.json", **options | {"samples": 12, "repeats": 1})
    assert figure["mean"] == pytest.approx(whole["figures"]["nfs/disparity"], rel=1e-3)
    lines = out.with_suffix(".md").read_text().splitlines()
    assert lines[0] == "|  | autoregressive | masked |"
    assert lines[2].startswith("| nfs/disparity (higher) |")
    assert {path.name for path in tmp_path.glob("e-*.png")} == {
        "e-autoregressive.png",
        "e-masked.png",
    }
    assert {path.name for path in logs.iterdir()} == {"autoregressive", "masked"}


def test_checkpoints_of_one_name_have_columns_and_sheets_of_their_own(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    gans = [
        save_gan(tmp_path / "a" / "gan.ckpt"),
        save_gan(tmp_path / "b" / "gan.ckpt", tiny_gan(bias=3.0)),
    ]
    options = measured | {"samples": 2, "metrics": ("nfs",), "out": str(tmp_path / "e.json")}
    run(evaluate, gans, tensorboard=str(tmp_path / "logs"), **options)
    assert (tmp_path / "e.md").read_text().startswith("|  | gan-1 | gan-2 |\n")
    sheets = [(tmp_path / f"e-gan-{number}.png").read_bytes() for number in (1, 2)]
    assert sheets[0] != sheets[1]
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"gan-1", "gan-2"}
    with pytest.raises(DataError, match=r"--checkpoint names \S+a/gan.ckpt twice"):
        run(evaluate, [*gans, gans[0]], **options)


def test_generators_of_different_systems_are_compared_but_for_how_their_worlds_are_turned(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    both = [tiny_files.autoregressive, save_gan(tmp_path / "gan.ckpt")]
    options = measured | {"samples": 2, "out": str(tmp_path / "e.json")}
    run(evaluate, both, metrics=("nfs",), **options)
    results = json.loads((tmp_path / "e.json").read_text())["results"]
    cameras = [result["protocol"]["cameras"] for result in results]
    assert cameras[0] == "canonical view"
    assert cameras[1].startswith("yaw ")
    boxed = save_boxes(tmp_path).prior
    with pytest.raises(DataError, match=r"for their worlds are turned otherwise \(free and known"):
        run(evaluate, [both[1], boxed], metrics=("pose",), background="photo", **options)


def test_scenes_are_of_those_real_images_that_are_taken(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    options = measured | {"metrics": ("nfs",), "real_images": 3}
    drawn = evaluated(
        tiny_files.autoregressive, tmp_path / "d.json", samples=9, **options, split="train"
    )
    assert drawn["protocol"]["classes"] == {"chair": 6, "mug": 3}  # the first three images'
    made = evaluated(tiny_files.stage1, tmp_path / "m.json", **options)
    assert made["protocol"]["classes"] == {"chair": 1, "mug": 1, "oak tree": 1}


def test_processes_and_an_interruption_change_nothing(
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = measured | {"samples": 20, "batch_size": 1, "metrics": ("fid", "nfs", "consistency")}
    alone = evaluated(tiny_files.autoregressive, tmp_path / "alone.json", **options)
    shared = tmp_path / "shared.json"

    def as_process(rank: int) -> None:
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
        for name, value in (place | {"TORCHELASTIC_RUN_ID": "x"}).items():
            monkeypatch.setenv(name, value)
        run(evaluate, tiny_files.autoregressive, out=str(shared), **options)

    as_process(1)
    assert "process 1 of 2 is through" in capsys.readouterr().out
    assert not shared.exists()
    (parts,) = tmp_path.glob("shared.parts-*")
    kept = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    as_process(1)  # again, as after an interruption
    assert {path.name: path.stat().st_mtime_ns for path in parts.iterdir()} == kept
    as_process(0)
    assert read(shared)["figures"] == alone["figures"]
    assert not parts.exists()


def test_parts_of_other_networks_are_not_taken_up(
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, network = list[str](), tmp_path / "depth.ckpt"

    def measure(parts: Parts, *_: object) -> bool:
        begun.append(parts.folder.name)
        return False

    monkeypatch.setattr(Parts, "measure", measure)
    options = measured | {"samples": 4, "metrics": ("depth",), "depth_network": str(network)}
    for seed in (0, 0, 1):
        save_depth_network(network, seed)
        run(evaluate, tiny_files.autoregressive, out=str(tmp_path / "e.json"), **options)
    assert begun[0] == begun[1] != begun[2]
