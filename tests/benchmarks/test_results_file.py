"""benchmarks/results.json: what a run measures, beside what it left out."""

import json
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS, keep
from benchmarks.harness import Result


def _result(name: str, figure: float) -> Result:
    return Result(name, figure, "x", ("ours", "plain"), 100.0, 50.0)


def test_a_benchmark_replaces_its_own_figures_only(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    keep(path, "renderer", [_result("speed", 2.0), _result("gone", 1.0)])
    keep(path, "loader", [_result("rate", 3.0)])
    keep(path, "renderer", [_result("speed", 4.0)])
    stored = json.loads(path.read_text())
    assert list(stored) == ["loader", "renderer"]
    assert [(entry["name"], entry["figure"]) for entry in stored["renderer"]] == [("speed", 4.0)]
    assert stored["loader"][0]["gemm_f32_gflops"] == 100.0


def test_the_file_in_the_repository_has_every_benchmark() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results.json"
    assert list(json.loads(path.read_text())) == list(BENCHMARKS)
