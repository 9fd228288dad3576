import sys
from pathlib import Path

import pytest
from waymo_files import main as write_files

from benchmarks.waymo import main


def test_files_are_written_and_their_conversion_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "made"
    monkeypatch.setattr(
        sys, "argv", ["files", "--out", str(source), "--crops", "6", "--sides", "40", "60"]
    )
    write_files()
    monkeypatch.setattr(sys, "argv", ["waymo", "--source", str(source), "--resolution", "32"])
    main()
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("6 crops at 32: ")
    assert "MB over the first half" in said


def test_a_missing_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["waymo", "--source", str(tmp_path / "gone")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "gone is no folder" in capsys.readouterr().err
