from pathlib import Path

import pytest
from photo_folders import write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs of two classes, with masks and depth, see `write_photos`."""
    return write_photos(tmp_path)
