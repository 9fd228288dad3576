import json
from pathlib import Path

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.cli.run_record import FILES, FOLDERS, PACKAGES, check_places, versions


def test_versions_name_what_made_the_run() -> None:
    found = versions()
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert set(found["packages"]) == set(PACKAGES)
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_installed_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.cli.run_record.PACKAGES", ("no-such-package",))
    assert versions()["packages"] == {"no-such-package": None}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_where_a_file_of_the_run_will_be_is_refused(name: str, tmp_path: Path) -> None:
    check_places(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name} is a folder, the run keeps a file there: move"):
        check_places(tmp_path)


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_folder_where_results_will_be_is_refused(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.mkdir()
    check_places(tmp_path)
    place.rmdir()
    place.touch()
    with pytest.raises(DataError, match=f"{name} is no folder, the run keeps its {name} there"):
        check_places(tmp_path)
    place.unlink()
    place.symlink_to("nowhere")
    with pytest.raises(DataError, match=f"{name} is no folder"):
        check_places(tmp_path)
