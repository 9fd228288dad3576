"""The command as a process, where another package has one of our packages' names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def help_with(path: Path) -> subprocess.CompletedProcess[str]:
    """`wild3d --help` where a folder comes before ours on Python's path."""
    return subprocess.run(
        [sys.executable, str(ROOT / "lightning_modules" / "cli" / "__main__.py"), "--help"],
        env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        cwd=path,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["models", "renderers", "datamodules"])
def test_a_package_of_another_place_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = help_with(tmp_path)
    sentence = f"the package {name} of {ROOT} is hidden by {tmp_path / name}, which"
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"wild3d: {sentence}")


def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    entry = ROOT / "lightning_modules" / "cli" / "__main__.py"
    command = f'rmdir "$PWD" && exec "{sys.executable}" "{entry}" --help'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wild3d: the folder it is run in was removed: go to another.\n"


def test_a_mere_folder_of_that_name_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()  # Python itself prefers a package
    done = help_with(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: wild3d VERB")
