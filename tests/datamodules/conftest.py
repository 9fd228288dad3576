from pathlib import Path

import pytest
from stub_gpu import streams as streams  # a fixture
from tiny_shards import tiny_root


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every modality, 22 training images in 5 shards, 7 for validation; do not alter."""
    folder = tmp_path_factory.mktemp("shards")
    tiny_root(folder)
    return folder


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """The same root, to be damaged by one test."""
    tiny_root(tmp_path / "root")
    return tmp_path / "root"


def pytest_configure(config: pytest.Config) -> None:
    """Silence what torch says of every test: its decoders move house, this machine is small."""
    for message in ("The image decoding and encoding", "This DataLoader will create"):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collect the tests of datamodules/build, whose name pytest takes for build products."""
    return False if collection_path == Path(__file__).parent / "build" else None
