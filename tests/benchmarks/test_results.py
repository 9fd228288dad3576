"""The page of results: what is measured again, what is kept, and what it says."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import results
from benchmarks.results_entries import REPORTS, TABLES
from benchmarks.results_page import header_lines, page
from datamodules.errors import DataError
from lightning_modules.cli.arguments import gather_lists
from lightning_modules.cli.verbs import VERBS, verb_parser
from lightning_modules.pictures.drawing import write_png

TABLE = next(table for table in TABLES if table.name == "eth80-gan")
RUNS = {"wildgan/eth80.yaml": "runs/wildgan-eth80"}


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run, its data and its classifier."""
    monkeypatch.chdir(tmp_path)
    for run in ("wildgan-eth80", "classifier-eth80"):
        checkpoint = tmp_path / "runs" / run / "checkpoints" / "best.ckpt"
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"weights")
    manifest = tmp_path / "data" / "eth80" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run, each of which finds the same."""
    asked: list[list[str]] = []

    def wild3d(words: list[str]) -> int:
        asked.append(words)
        out = Path(words[words.index("--out") + 1])
        out.parent.mkdir(parents=True, exist_ok=True)
        figures = {"kid/classifier-eth80-1a2b3c4d": {"repeats": [0.01, 0.02, None]}}
        protocol = {"samples": 400, "cameras": "all around"}
        result = {"name": "wildgan-eth80", "images_seen": 90_000}
        result |= {"figures": figures, "protocol": protocol}
        result["provenance"] = {"command": "results.py --lowpoly /data/of/one/machine"}
        alike = {"real_images": 2407, "resolution": 64, "is_of_real_images": 7.128}
        out.write_text(json.dumps({"results": [result], "protocol": alike}))
        out.with_suffix(".md").write_text("")
        write_png(out.with_suffix(".png"), torch.rand(3, 8, 12))
        return 0

    monkeypatch.setattr(results, "wild3d", wild3d)
    monkeypatch.setattr(results, "code_revision", lambda: "abc")
    return asked


def test_a_table_is_measured_again_only_for_other_weights_or_data(
    trained: Path, calls: list[list[str]]
) -> None:
    assert results.measure(TABLE, RUNS, 16) == "measured"
    assert results.measure(TABLE, RUNS, 16) == "up to date"
    assert len(calls) == 1
    (kept,) = json.loads((results.STORE / "eth80-gan.json").read_text())["results"]
    assert kept["provenance"]["command"] == results.command_of(TABLE, RUNS)
    with Image.open(results.STORE / "eth80-gan.jpg") as sheet:
        assert sheet.size == (12, 8)
    assert not list(results.STORE.glob("*.png"))
    (trained / "runs" / "wildgan-eth80" / "checkpoints" / "best.ckpt").write_bytes(b"others")
    assert results.measure(TABLE, RUNS, 16) == "measured"
    (trained / "data" / "eth80" / "manifest.json").write_text('{"other": 1}')
    assert results.measure(TABLE, RUNS, 16) == "measured"
    assert calls[1][:3] == ["evaluate", "--checkpoint", "runs/wildgan-eth80/checkpoints/best.ckpt"]


def test_what_is_not_there_is_named_and_leaves_the_table(
    trained: Path, calls: list[list[str]]
) -> None:
    (trained / "data" / "eth80" / "manifest.json").unlink()
    assert results.measure(TABLE, RUNS, 16) == "left as it is: there is no data/eth80/manifest.json"
    assert not calls
    assert results.report(REPORTS[0], None).startswith("left as it is: there is no runs/gina3d")


def test_the_page_shows_figures_command_machine_and_sheet(
    trained: Path, calls: list[list[str]]
) -> None:
    results.measure(TABLE, RUNS, 16)
    run = trained / "runs" / "wildgan-eth80"
    (run / "result.json").write_text(
        json.dumps({"kid/classifier": 0.0123, "images_seen": 100_000, "seconds": 600.0})
    )
    (run / "versions.json").write_text(json.dumps({"git": "abc", "machine": "a CPU (2 cores)"}))
    results.note_trainings(RUNS)
    text = page(results.STORE, RUNS | {"wildgan/imagenet100.yaml": "runs/x"})
    assert "| wildgan/eth80.yaml | 100,000 | 10 | KID 0.012 | a CPU (2 cores) |" in text
    flat = " ".join(text.split())
    assert "Not trained to the end by us: wildgan/imagenet100.yaml" in flat
    assert "| kid/classifier-eth80-1a2b3c4d (lower) | nan +- nan |" in text
    assert "400 scenes a repeat, seen all around, of checkpoints after 90,000 training" in flat
    assert "To be read beside: Inception Score of real images 7.13." in flat
    assert "![scenes of wildgan-eth80](results/eth80-gan.jpg)" in text
    assert "Not measured yet: gina3d/stage2_lowpoly.yaml." in flat
    shell = [line for line in text.splitlines() if line.startswith("    ")]
    assert shell[0].startswith("    wild3d evaluate --checkpoint runs/wildgan-eth80/")


def test_every_trained_configuration_of_scenes_is_in_a_table() -> None:
    runs = results.runs_of_configs()
    measured = {config for table in TABLES for config in table.configs}
    assert measured <= set(runs)
    scenes = {c for c in runs if c.startswith(("vq3d", "gina3d", "wildgan"))}
    never = {c for c in scenes if any(n in c for n in ("imagenet", "waymo", "shapenet"))}
    assert scenes - never == measured


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_commands_are_known(table) -> None:
    words = results.shlex.split(results.command_of(table, results.runs_of_configs()))[2:]
    verb, function = VERBS["evaluate"], VERBS["evaluate"].load()
    assert verb.function == "evaluate"
    verb_parser("evaluate", function).parse_args(gather_lists(function, words))


def test_headers_say_what_was_measured() -> None:
    """Numbers of configurations are those of the page."""
    kept = json.loads(Path("docs/results/trainings.json").read_text())
    for config, training in kept.items():
        header = Path("configs", config).read_text().splitlines()
        for line in header_lines(training):
            assert line in header, config
            assert len(line) <= 120


def test_what_is_kept_names_no_path_of_a_machine() -> None:
    for path in Path("docs/results").glob("*.json"):
        assert not re.search(r"[\" ]/\w+/", path.read_text()), path


def test_headers_are_written_into_their_lines(trained: Path) -> None:
    path = trained / "configs" / "wildgan" / "eth80.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# A GAN.\n# Measured (docs/results.md): .\n# Trained on .\nrun: runs/x\n")
    result = {"kid/classifier": 0.0123, "images_seen": 100_000, "seconds": 600.0}
    results.STORE.mkdir(parents=True)
    kept = {"wildgan/eth80.yaml": {"result": result, "machine": "a CPU (2 of 2 cores)"}}
    results.TRAININGS.write_text(json.dumps(kept))
    results.write_headers()
    results.write_headers()  # again changes nothing
    assert path.read_text().splitlines() == [
        "# A GAN.",
        "# Measured (docs/results.md): KID 0.012.",
        "# Trained on 100,000 images in 10 minutes on a CPU (2 of 2 cores).",
        "run: runs/x",
    ]
    path.write_text("run: runs/x\n")
    with pytest.raises(DataError, match="no line that begins with '# Measured"):
        results.write_headers()


def test_the_revision_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        command = ["git", *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for name in results.CODE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("1")
    git("add", "-A")
    git("commit", "-qm", "Code")
    first = git("rev-parse", "HEAD")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text("a page")
    git("add", "-A")
    git("commit", "-qm", "Page")
    (tmp_path / "docs" / "results.md").write_text("another page")
    assert results.code_revision() == first
    (tmp_path / "models" / "a.py").write_text("2")
    assert results.code_revision() == f"{first}-dirty"
