from pathlib import Path

import pytest
from tiny_run import write_config, write_shards


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 24 training and 6 validation images with depth; do not alter."""
    folder = tmp_path_factory.mktemp("tiny") / "shards"
    write_shards(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage-1 configuration with every loss but the perceptual one."""
    return write_config(tmp_path_factory.mktemp("config"))
