import json

import pytest
import torch

from lightning_modules.cli.run_record import PACKAGES, versions


def test_versions_name_what_made_the_run() -> None:
    found = versions()
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert set(found["packages"]) == set(PACKAGES)
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_installed_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.cli.run_record.PACKAGES", ("no-such-package",))
    assert versions()["packages"] == {"no-such-package": None}
