"""Which files pytest collects: tests, and those of the packages that hold examples."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
PACKAGES = [ROOT / name for name in ("datamodules", "lightning_modules", "models", "renderers")]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only what holds an example, or a test: most modules need no look of doctest's."""
    if collection_path.is_dir():
        # pytest takes a folder named build for build products.
        return False if collection_path == ROOT / "datamodules" / "build" else None
    if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
        return None
    return True if b">>> " not in collection_path.read_bytes() else None
