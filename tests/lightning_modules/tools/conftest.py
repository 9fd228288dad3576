"""Data that tools are measured on."""

import pytest
from tiny_classes import save_classifier, write_classes


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options of shards of the prior's classes and of a classifier of them."""
    folder = tmp_path_factory.mktemp("evaluate")
    root = write_classes(folder / "shards")
    return {"root": root, "features": save_classifier(folder / "classifier.ckpt")}
