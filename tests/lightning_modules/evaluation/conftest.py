from pathlib import Path

import pytest
from tiny_classes import save_classifier, write_classes


@pytest.fixture(scope="session")
def classes_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Shards of three classes; do not alter."""
    return write_classes(tmp_path_factory.mktemp("classes") / "shards")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checkpoint of an untrained classifier of these classes."""
    folder: Path = tmp_path_factory.mktemp("classifier")
    return save_classifier(folder / "best.ckpt")
