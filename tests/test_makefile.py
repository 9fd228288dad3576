"""Targets of `make`, whose programs are stood in for."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment whose `wild3d` says what it is asked for."""
    program = tmp_path / "bin" / "wild3d"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    (tmp_path / ".installed").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("config", "built"),
    [
        ("vq3d/stage1_shapeworld.yaml", "shapeworld --root data/shapeworld"),
        ("gina3d/stage1_shapeworld.yaml", "shapeworld --root data/shapeworld-hidden --half"),
        ("classifier/blurred_objects.yaml", "shapeworld --root data/shapeworld"),  # of its base
        ("wildgan/lowpoly.yaml", ""),  # its own, not that of its base
    ],
)
def test_data_of_a_configuration_are_built(venv: Path, config: str, built: str) -> None:
    command = ["make", "--silent", "data", f"VENV={venv}", f"CONFIG=configs/{config}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith(built)
    assert said.count("\n") == (built != "")
