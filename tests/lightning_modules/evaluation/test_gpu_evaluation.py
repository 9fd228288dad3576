"""Evaluation on a GPU, by tensors that know their device and hold nothing."""

from collections.abc import Iterator

import pytest
import torch
from tiny_gan import CLASSES, SIDE, tiny_gan
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from datamodules.errors import DataError
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.instruments import Instruments
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.subjects import DrawnSubjects, Seen
from models.wildgan import WildGAN


class Extractor(nn.Module):
    """Vectors and logits that depend on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, len(CLASSES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        vectors = images.float().mean((2, 3))
        return vectors, self.layer(vectors)


class Seeing(DrawnSubjects):
    """Two scenes of a GAN, seen from in front."""

    def seen(self, rows: range) -> Seen:
        model: WildGAN = self.drawer.model
        scenes = model.scenes(torch.zeros(2, 12, device="cuda"))
        view = scenes.view(scenes.canonical, SIDE, SIDE)
        return Seen(scenes, view, view.rgb, torch.zeros(2), (0, 1), None)


class Drawer:
    """Of the model alone."""

    def __init__(self, model: WildGAN) -> None:
        self.model, self.view = model, model.views.canonical()


@pytest.fixture
def on_gpu() -> Iterator[None]:
    """Nothing is computed, but tensors of two devices don't mix."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_novel_views_and_features_are_made_where_the_scenes_are() -> None:
    with torch.device("cuda"):
        model, network = tiny_gan(), FeatureNetwork("x", "y", "z", Extractor())
    settings = MetricSettings(("consistency", "kid_3d"))
    measured = Instruments(settings, network).measure(Seeing(Drawer(model), (0, 0)), range(2))
    assert {figure.device.type for figure in measured.figures.values()} == {"cpu"}
    assert measured.novel.vectors.device.type == measured.thumbnails.device.type == "cpu"
    network.check_classes(len(CLASSES))
    with pytest.raises(DataError, match="x tells 3 classes, the data have 4"):
        network.check_classes(4)
