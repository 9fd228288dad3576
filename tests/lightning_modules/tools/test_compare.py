import json
from pathlib import Path

import pytest

from lightning_modules.cli.main import main
from lightning_modules.tools.compare import compare


def write(folder: Path, result: dict[str, object]) -> str:
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))
    return str(folder)


def test_results_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "baseline", {"kid": 0.07, "images_seen": 18000, "protocol": "x"})
    second = write(tmp_path / "d", {"kid": 0.05, "images_seen": 18000, "non_flatness": 9.5})
    out = tmp_path / "tables" / "ablation.md"
    assert main(["compare", "--runs", first, second, "--out", str(out)]) == 0
    expected = [
        "| run | kid | images_seen | non_flatness |",
        "| --- | ---: | ---: | ---: |",
        "| baseline | 0.07 | 18,000 |  |",
        "| d | 0.05 | 18,000 | 9.5 |",
    ]
    assert out.read_text().splitlines() == expected
    assert capsys.readouterr().out.splitlines() == expected


def test_an_unfinished_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--runs", str(tmp_path / "none")]) == 2
    assert "none has no result.json" in capsys.readouterr().err


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [str(tmp_path / month / "gan") for month in ("may", "june")]
    for place, run in enumerate(runs):
        Path(run).mkdir(parents=True)
        (Path(run) / "result.json").write_text(json.dumps({"kid": place}))
    compare(runs, str(tmp_path / "table.md"))
    table = (tmp_path / "table.md").read_text()
    assert all(f"| {run} | {place} |" in table for place, run in enumerate(runs))


def test_every_run_without_figures_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junk = {"cut": "{", "list": "[1]", "nested": '{"a": {}}', "none": "{}", "deep": "[" * 99_999}
    junk |= {"words": '{"protocol": "x"}', "bytes": "\udcff", "null": "null"}
    runs = [write(tmp_path / "good", {"kid": 1})]
    for name, text in junk.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(text.encode(errors="surrogateescape"))
        runs.append(str(tmp_path / name))
    out = tmp_path / "table.md"
    assert main(["compare", "--runs", *runs, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "8 of 9 failed" in said
    assert all(f"/{name}/result.json" in said for name in junk)
    assert not out.exists()


def test_runs_without_a_common_figure_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write(tmp_path / "a", {"kid": 1}), write(tmp_path / "b", {"psnr": 20})]
    assert main(["compare", "--runs", *runs]) == 2
    assert "the runs a, b have no figure in common" in capsys.readouterr().err


def test_cells_hold_no_signs_that_end_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = write(tmp_path / "odd", {"a|b": "x\0\ud800|y", "c\nd": 1}), tmp_path / "table.md"
    assert main(["compare", "--runs", run, "--out", str(out)]) == 0
    table = out.read_text("utf-8")
    assert table == capsys.readouterr().out
    assert table.splitlines()[0] == "| run | a\\|b | c d |"
    assert "\0" not in table


def test_results_of_any_size_are_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "result.json").open("wb") as file:
        file.truncate(1 << 40)
    assert main(["compare", "--runs", str(tmp_path)]) == 2
    assert "has 1,099,511,627,776 bytes, results have at most" in capsys.readouterr().err
