from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import studies
from benchmarks.altered_shards import Alteration
from benchmarks.studies import STUDIES, Row, measured, table, train
from datamodules.errors import DataError
from lightning_modules.cli.main import main


def test_a_table_has_means_and_deviations() -> None:
    found = {"a": [{"x": 1.0, "y": 5.0}, {"x": 3.0, "y": 5.0}], "b": [{"x": 2.0, "y": 4.0}]}
    assert table("codes", found).splitlines() == [
        "| codes | x | y |",
        "|---|---|---|",
        "| a | 2 ± 1.4 | 5 ± 0 |",
        "| b | 2 ± 0 | 4 ± 0 |",
    ]


@pytest.mark.parametrize("options", {row.options for rows in STUDIES.values() for row in rows})
def test_settings_of_rows_exist(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", studies.CONFIG, *options, "--print_config"])
    assert stop.value.code == 0
    assert capsys.readouterr().out


def test_a_run_is_trained_once_on_altered_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered, commands = [], []
    monkeypatch.setattr(studies, "altered_shards", lambda *given: altered.append(given))
    monkeypatch.setattr(studies.subprocess, "run", lambda c, check: commands.append(c))
    given = Namespace(root="data/x", out=str(tmp_path), args=["--model.max_images", "8"])
    row = Row("r", Alteration(grow=2), ("--model.occluders", "object"))
    run = train(row, 3, "masks", 1, given)
    assert run == tmp_path / "masks-3-seed1"
    assert altered == [("data/x", f"{tmp_path}/data-masks-3", Alteration(grow=2))]
    words = " ".join(commands[0])
    assert f"--model.seed 1 --data.seed 1 --seed_everything 1 --data.root {tmp_path}/data" in words
    assert words.endswith("--model.occluders object --model.max_images 8")
    run.mkdir()
    (run / "result.json").write_text("{}")
    train(row, 3, "masks", 1, given)
    assert len(commands) == 1


@pytest.mark.parametrize("part", ["3", "2/2", "0/0", "a/b"])
def test_parts_are_numbers_below_their_count(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["studies", "codes", "--part", part, "--out", str(tmp_path)])
    with pytest.raises(DataError, match=f"--part is '{part}'"):
        studies.main()


def test_settings_follow_the_dashes_wherever_options_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(studies.subprocess, "run", lambda c, check: commands.append(c))
    words = ["codes", "--part", "1/12", "--out", str(tmp_path), "--", "--model.max_images", "8"]
    monkeypatch.setattr("sys.argv", ["studies", *words])
    studies.main()
    (command,) = commands
    assert command[-4:] == ["--model.autoencoder.codebook.codes", "256", "--model.max_images", "8"]


def test_runs_of_other_settings_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies.subprocess, "run", lambda *_, check: None)
    for settings in ("8", "8", "9"):
        words = ["codes", "--part", "1/12", "--out", str(tmp_path), "--", "--max_images", settings]
        monkeypatch.setattr("sys.argv", ["studies", *words])
        if settings == "9":
            with pytest.raises(DataError, match=r"'8'.*now.*'9'.*: take another --out"):
                studies.main()
        else:
            studies.main()


def test_a_run_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        studies, "reconstruction_figures", lambda *given: calls.append(given) or {"x": 1.5}
    )
    assert measured(tmp_path, "data/x", rare=True) == {"x": 1.5}
    assert measured(tmp_path, "data/x", rare=True) == {"x": 1.5}
    assert calls == [(str(tmp_path / "checkpoints/best.ckpt"), "data/x", studies.RARE)]
