"""Choice of what pytest collects: tests, and modules of the packages that hold an example."""

from pathlib import Path

ROOT = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules without examples, which doctest would import to find none."""
    if collection_path.is_dir():
        # pytest takes a folder named build for build products.
        return False if collection_path == ROOT / "datamodules" / "build" else None
    if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
        return None
    return None if b">>> " in collection_path.read_bytes() else True
