from pathlib import Path

import pytest
import torch
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


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    """Folder of a transformer that pools its first token, for images of 32 pixels."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    config = transformers.ViTConfig(**small, num_attention_heads=2, image_size=32, patch_size=8)
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    size = {"height": 32, "width": 32}
    processor = transformers.ViTImageProcessor(size=size, image_std=[0.5, 0.25, 0.5])
    processor.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"
