import torch

from lightning_modules.evaluation.gan_images import GANImages
from models.blocks.plane_decoder import PlaneSize
from models.spaces import BoxSpace
from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells
from models.wildgan import BackboneSize, WildGAN
from renderers.ray_sampling import RaySampling


def source(view_cells: ViewCells | None = None) -> GANImages:
    torch.manual_seed(0)
    model = WildGAN(
        2,
        resolution=16,
        raw_resolution=8,
        backbone=BackboneSize(8, 8, 2, 64, 8),
        planes=PlaneSize(4, 8),
        box=BoxSpace(0.6),
        views=ViewDistribution(radius=2.0),
        view_cells=view_cells,
        sampling=RaySampling(4, 4),
        refiner_widths=(6, 4),
    )
    return GANImages("last.ckpt", model.eval())


def test_an_image_depends_on_its_label_and_seed_alone() -> None:
    images = source()
    together, alone = images.draw([0, 1, 1], [7, 7, 8]), images.draw([1], [7])
    assert together.rgb.shape == (3, 3, 16, 16)
    torch.testing.assert_close(together.rgb[1:2], alone.rgb)
    assert not torch.allclose(together.rgb[0], together.rgb[1])
    assert (images.classes, images.resolution) == (2, 16)


def test_seeds_are_seen_from_all_around() -> None:
    directions = source()._directions(torch.zeros(200, dtype=torch.long), range(200))
    assert directions.mean(0).norm() < 0.15


def test_geometry_lies_between_the_ends_of_the_rays() -> None:
    geometry = source().draw([0], [1]).geometry
    assert geometry is not None
    assert geometry.opacity is not None
    assert 1 / geometry.low <= 2 + 0.6 * 3**0.5 + 1e-3
    assert 1 / geometry.high >= 2 - 0.6 * 3**0.5 - 1e-3
    assert geometry.values.shape == geometry.opacity.shape == (1, 16, 16)


def test_the_cameras_are_told() -> None:
    assert "uniform in area, turned by 0.0, radius 2.0" in source().cameras
    assert "as learned of each class" in source(ViewCells(2, 2)).cameras
