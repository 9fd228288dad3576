import pytest

from datamodules.build.shapeworld.verb import shapeworld


@pytest.fixture(scope="session")
def hidden_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Photographs whose objects are all half hidden, half of them for validation; do not alter."""
    folder = str(tmp_path_factory.mktemp("data") / "hidden")
    shapeworld(folder, images=48, val_fraction=0.5, resolution=64, half_hidden=1.0, workers=1)
    return folder
