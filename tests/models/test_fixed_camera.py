import torch

from models.autoencoder import CanonicalView, FixedCamera
from renderers.pixels import pixel_centres
from renderers.rays import rays_at

VIEW = CanonicalView(2.0, 60.0, 0.3, 0.2)


def test_it_is_that_of_the_view_made_once_for_a_device() -> None:
    fixed, cpu = FixedCamera(VIEW), torch.device("cpu")
    made = fixed.on(cpu)
    assert torch.equal(made.cam2world, VIEW.camera().cam2world)
    assert torch.equal(made.intrinsics, VIEW.camera().intrinsics)
    assert fixed.on(cpu) is made
    assert fixed.on(torch.device("meta")).cam2world.is_meta


def test_made_for_a_validation_it_may_be_trained_with() -> None:
    fixed, pixels = FixedCamera(VIEW), pixel_centres(2, 2)
    with torch.inference_mode():
        fixed.on(torch.device("cpu"))
    scale = torch.ones(3, requires_grad=True)
    rays = rays_at(fixed.on(torch.device("cpu")), pixels)
    (rays.directions * scale).sum().backward()
    assert torch.equal(scale.grad, rays.directions.sum((0, 1)))
