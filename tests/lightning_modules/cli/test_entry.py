"""The command as a process, where another package has one of our packages' names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["models", "renderers", "datamodules"])
@pytest.mark.parametrize("is_package", [True, False])
def test_a_package_of_another_place_is_refused_in_one_sentence(
    name: str, is_package: bool, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    if is_package:
        (tmp_path / name / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, str(ROOT / "lightning_modules" / "cli" / "__main__.py"), "--help"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if is_package:
        sentence = f"the package {name} of {ROOT} is hidden by {tmp_path / name}, which"
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"wild3d: {sentence}")
    else:  # Python itself prefers a package to a mere folder
        assert done.returncode == 0, done.stderr
