import json
from pathlib import Path

import pytest
import yaml

from datamodules.errors import DataError
from lightning_modules.cli.bases import with_bases
from lightning_modules.cli.main import main


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_bases_come_before_what_is_laid_over_them(tmp_path: Path) -> None:
    lowest = write(tmp_path / "all.yaml", "run: a\n")
    middle = write(tmp_path / "small.yaml", "base: all.yaml\n")
    top = write(tmp_path / "sub/mine.yaml", "base: ../small.yaml\n")
    alone = write(tmp_path / "step.yaml", "run: b\n")
    found = with_bases(["fit", "--config", top, f"--config={alone}", "--run", "base"])
    assert found[0] == "fit"
    assert [str(Path(word).resolve()) for word in found[2:8:2]] == [lowest, middle, top]
    assert found[1:8:2] == ["--config"] * 4
    assert found[8:] == [alone, "--run", "base"]


def test_settings_in_place_of_a_file_stay_and_missing_and_broken_files_are_named(
    tmp_path: Path,
) -> None:
    words = ["fit", "--config", json.dumps({"run": "x"})]
    assert with_bases(words) == words
    assert with_bases(["fit", "--config"]) == ["fit", "--config"]
    with pytest.raises(DataError, match=r"there is no file .*none.yaml: check --config"):
        with_bases(["--config", str(tmp_path / "none.yaml")])
    broken = write(tmp_path / "broken.yaml", "a: [")
    with pytest.raises(DataError, match=r"broken.yaml is no YAML: .*line 1"):
        with_bases(["--config", broken])


def test_a_base_that_is_missing_or_circular_is_named(tmp_path: Path) -> None:
    lost = write(tmp_path / "lost.yaml", "base: gone.yaml\n")
    with pytest.raises(DataError, match=r"no file .*gone.yaml: check `base` in .*lost.yaml"):
        with_bases(["--config", lost])
    for base, sentence in {
        "3": "is 3",
        "[a]": r"is \['a'\]",
        "''": "is a folder",
        ".": "a folder",
    }.items():
        with pytest.raises(DataError, match=rf"`base` in .*odd.yaml.* {sentence}"):
            with_bases(["--config", write(tmp_path / "odd.yaml", f"base: {base}\n")])
    first = write(tmp_path / "first.yaml", "base: second.yaml\n")
    write(tmp_path / "second.yaml", "base: first.yaml\n")
    with pytest.raises(DataError, match="laid over itself"):
        with_bases(["--config", first])


def test_a_run_takes_the_settings_of_base_and_file(
    tmp_path: Path, tiny_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "base.yaml", tiny_config.read_text())
    top = write(tmp_path / "top.yaml", "base: base.yaml\nmodel: {init_args: {max_images: 7}}\n")
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", top, "--data.root", "x", "--print_config"])
    assert ended.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    assert (printed["max_images"], printed["ema_half_life"]) == (7, 20)
