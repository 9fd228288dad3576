"""What a GAN offers of its scenes to those that measure them."""

import pytest
import torch
from tiny_gan import CLASSES, SIDE, save_gan, tiny_gan
from torch import Tensor

from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_maker import SceneDrawer
from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells
from models.wildgan import WildGAN


@pytest.fixture(scope="module")
def gan() -> GANScenes:
    return GANScenes("last.ckpt", tiny_gan(raw_resolution=SIDE // 2), CLASSES)


def images_of(drawer: SceneDrawer, labels: list[int], seeds: list[int]) -> Tensor:
    scenes = drawer.generate(labels, seeds)
    return scenes.view(drawer.cameras(scenes, labels, seeds), SIDE, SIDE).rgb


def test_an_image_depends_on_its_label_and_seed_alone(gan: GANScenes) -> None:
    together = images_of(gan, [0, 1, 1], [7, 7, 8])
    alone = images_of(gan, [1], [7])
    assert together.shape == (3, 3, SIDE, SIDE)
    torch.testing.assert_close(together[1:2], alone)
    assert not torch.allclose(together[0], together[1])
    assert (gan.classes, gan.resolution) == (3, SIDE)


def test_seeds_are_seen_from_all_around(gan: GANScenes) -> None:
    scenes = gan.generate([0], [0])
    cameras = gan.cameras(scenes, [0] * 200, range(200)).cam2world
    assert (cameras[:, :3, 3].mean(0) / 2.0).norm() < 0.15
    alone = gan.cameras(scenes, [0], [7]).cam2world
    torch.testing.assert_close(alone, cameras[7:8])


def test_disparity_lies_between_the_ends_of_the_rays(gan: GANScenes) -> None:
    scenes = gan.generate([0], [1])
    view = scenes.view(gan.cameras(scenes, [0], [1]), SIDE, SIDE)
    ((low, high),) = view.disparity_range
    assert 1 / low <= 2 + 0.6 * 3**0.5 + 1e-3
    assert 1 / high >= 2 - 0.6 * 3**0.5 - 1e-3


def test_the_viewpoints_are_told(gan: GANScenes) -> None:
    assert "uniform in area, turned by 0.0, radius 2.0" in gan.viewpoints
    views = ViewDistribution(2.0, 40.0)
    learned = WildGAN(2, resolution=16, raw_resolution=8, views=views, view_cells=ViewCells(2, 2))
    assert "as learned of each class" in GANScenes("", learned).viewpoints


def test_a_checkpoint_is_drawn_from_with_its_truncation(tmp_path) -> None:
    path = save_gan(tmp_path / "gan.ckpt")
    drawer = open_maker(path, options=SamplingOptions(truncation=0.5)).drawer()
    assert (drawer.checkpoint, drawer.classes, drawer.names) == (path, 3, CLASSES)
    drawn = images_of(drawer, [1, 2], [3, 4])
    model = tiny_gan()
    scenes = model.scenes(model.mapped(torch.tensor([1, 2]), [3, 4], 0.5))
    camera = drawer.cameras(scenes, [1, 2], [3, 4])
    assert torch.equal(drawn, scenes.view(camera, SIDE, SIDE).rgb)
