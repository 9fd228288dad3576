import pytest
import torch
from torch import Tensor

from models.autoencoder import CanonicalView
from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.vq3d import VQ3D
from renderers.ray_sampling import RaySampling


@pytest.fixture(scope="module")
def model() -> VQ3D:
    torch.manual_seed(0)
    return VQ3D(
        resolution=16,
        patch=4,
        encoder=ViTSize(16, 1, 2),
        decoder=ViTSize(16, 1, 2),
        codebook=CodebookSize(32, 8),
        planes=PlaneSize(4, 8),
        field_hidden=8,
        sampling=RaySampling(6, 6, "disparity"),
    )


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_an_image_becomes_a_grid_of_tokens(model: VQ3D, images: Tensor) -> None:
    tokens = model.encode(images).tokens
    assert tokens.shape == (3, 16)
    assert tokens.dtype == torch.int64
    assert len(tokens.unique()) > 1


def test_tokens_alone_give_the_reconstruction(model: VQ3D, images: Tensor) -> None:
    from_image, from_tokens = (
        scenes.view(scenes.canonical, 8, 8)
        for scenes in (model.reconstruct(images), model.decode_tokens(model.encode(images).tokens))
    )
    torch.testing.assert_close(from_tokens.rgb, from_image.rgb, atol=1e-5, rtol=0)
    torch.testing.assert_close(from_tokens.disparity, from_image.disparity, atol=1e-5, rtol=1e-4)
    assert from_image.rgb.std() > 0


def test_forward_is_encode_then_decode(model: VQ3D, images: Tensor) -> None:
    made = model(images)
    quantized, scenes = made.quantized, made.scenes
    assert torch.equal(quantized.tokens, model.encode(images).tokens)
    assert torch.equal(scenes.planes, model.reconstruct(images).planes)


def test_a_rendering_loss_trains_every_part(model: VQ3D, images: Tensor) -> None:
    made = model(images)
    quantized, scenes = made.quantized, made.scenes
    points = torch.rand(3, 20, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    density, color = scenes.at(points)
    (density.sum() + color.sum() + quantized.loss).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    model.zero_grad()


def test_the_canonical_camera_is_on_plus_z_and_looks_along_minus_z() -> None:
    camera = CanonicalView(radius=3.0, fov_degrees=90.0).camera()
    torch.testing.assert_close(camera.position, torch.tensor([[0.0, 0.0, 3.0]]))
    torch.testing.assert_close(camera.forward, torch.tensor([[0.0, 0.0, -1.0]]))
    # 90 degrees: the focal length is half the image.
    torch.testing.assert_close(camera.intrinsics[0, 0, 0], torch.tensor(0.5))


def test_a_resolution_that_patches_do_not_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="resolution is 30, it must be a multiple of the patch, 8"):
        VQ3D(resolution=30, patch=8)
