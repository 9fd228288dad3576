import pytest
import torch
from tiny_gina3d import tiny_gina3d
from torch import Tensor

from models.autoencoder import Sight
from models.blocks.token_layout import TokenLayout
from models.gina3d import GINA3D, Coordinates
from models.recipe import build_model
from models.spaces import SceneBoxes
from renderers.rays import Rays, camera_rays

PUBLISHED_MILLIONS = 204


@pytest.fixture(scope="module")
def model() -> GINA3D:
    return tiny_gina3d()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_an_image_becomes_tokens_on_three_planes(model: GINA3D, images: Tensor) -> None:
    tokens = model.encode(images).tokens
    assert model.layout == TokenLayout(4, 4, 3)
    assert tokens.shape == (3, 48)
    assert model.decode_tokens(tokens).planes.shape == (3, 3, 4, 8, 8)


def test_tokens_alone_give_scene_and_size(model: GINA3D, images: Tensor) -> None:
    of_image = model.reconstruct(images)
    of_tokens = model.decode_tokens(model.encode(images).tokens)
    torch.testing.assert_close(of_tokens.planes, of_image.planes, atol=1e-4, rtol=1e-4)
    assert isinstance(of_image.space, SceneBoxes)
    assert isinstance(of_tokens.space, SceneBoxes)
    found = of_tokens.space.half_extents
    torch.testing.assert_close(found, of_image.space.half_extents)
    assert (found > 0).all()
    assert (found < 0.8).all()


def test_nothing_is_rendered_outside_the_box(model: GINA3D, images: Tensor) -> None:
    scenes = model.reconstruct(images).in_boxes(torch.tensor([[0.4, 0.2, 0.3]]).expand(3, 3))
    heights = torch.tensor([0.0, 0.14, 0.16])  # half the height is 0.15
    origins = torch.stack([torch.zeros(3), heights, torch.full((3,), 2.0)], 1).expand(3, 3, 3)
    rays = Rays(origins, torch.tensor([0.0, 0.0, -1.0]).expand(3, 3, 3))
    rendering = scenes.render(rays)
    assert (rendering.opacity[:, :2] > 0).all()
    assert (rendering.opacity[:, 2] == 0).all()
    torch.testing.assert_close(rendering.rgb[:, 2], torch.full((3, 3), 0.5))
    assert (rendering.t[:, :2].min() >= 1.9) & (rendering.t[:, :2].max() <= 2.1)  # width 0.2


@pytest.mark.parametrize(("coordinates", "expected"), [("box", 1.0), ("metric", 0.25)])
def test_the_cube_is_the_box_or_the_reach(
    images: Tensor, coordinates: Coordinates, expected: float
) -> None:
    scenes = (
        tiny_gina3d(coordinates).reconstruct(images[:1]).in_boxes(torch.tensor([[0.4, 0.4, 0.4]]))
    )
    face = scenes.space.to_cube(torch.tensor([[[0.2, 0.0, 0.0]]]))
    assert face[0, 0, 0].item() == pytest.approx(expected)


def test_all_rays_of_an_image_are_its_own(model: GINA3D) -> None:
    pixels = torch.rand(1, 5, 2)
    given = Rays(torch.rand(1, 5, 3), torch.rand(1, 5, 3))
    assert model.image_rays(pixels, given) is given
    own = model.image_rays(pixels)  # a photograph without rays: the camera scenes are shown from
    torch.testing.assert_close(own.origins[0, 0], model.view.camera().position[0])


def test_depth_is_the_distance_along_rays_from_any_side(model: GINA3D) -> None:
    sides = model.view.offset(torch.tensor([0.0, 1.6, 3.1]), torch.zeros(3))
    assert (model.depth_share(camera_rays(sides, 4, 4)) == 1).all()


def whole_rays(yaw: float, model: GINA3D) -> Rays:
    rays = camera_rays(model.view.offset(torch.tensor([yaw]), torch.zeros(1)), 16, 16)
    return Rays(rays.origins.expand(3, -1, -1), rays.directions.expand(3, -1, -1))


def test_tokens_depend_on_where_an_image_is_seen_from(model: GINA3D, images: Tensor) -> None:
    unknown = model.features(images)
    largest = torch.full((3, 3), 2 * model.reach)
    known = model.features(images, Sight(whole_rays(0.0, model), largest))
    torch.testing.assert_close(known, unknown, atol=1e-3, rtol=1e-3)
    turned = model.features(images, Sight(whole_rays(1.0, model), largest))
    assert (turned - unknown).abs().max() > 0.05
    smaller = model.features(images, Sight(whole_rays(0.0, model), largest / 3))
    assert (smaller - unknown).abs().max() > 0.05


def object_on_the_left(images: Tensor) -> Tensor:
    left = torch.zeros_like(images[:, 0], dtype=torch.bool)
    left[..., :8] = True
    return torch.stack([left, ~left], 1)


def test_tokens_depend_on_the_mask(images: Tensor) -> None:
    model, mask = tiny_gina3d().eval(), object_on_the_left(images)
    unknown = model.features(images)
    known = model.features(images, Sight(mask=mask))
    assert (known - unknown).abs().max() > 0.05
    occluded = mask & mask[:, :1]  # nothing is seen of what is behind the object
    assert (model.features(images, Sight(mask=occluded)) - known).abs().max() > 0.05
    nowhere = Sight(mask=torch.zeros_like(mask))
    torch.testing.assert_close(model.features(images, nowhere), unknown)


@pytest.mark.parametrize(("share", "hidden"), [(0.0, 0), (1.0, 200), (0.25, 50)])
def test_a_share_of_masks_is_hidden_in_training_alone(share: float, hidden: int) -> None:
    torch.manual_seed(0)
    images, model = torch.rand(1, 3, 16, 16).expand(200, -1, -1, -1), tiny_gina3d("box", share)
    known, unknown = Sight(mask=object_on_the_left(images)), model.eval().features(images[:1])
    evaluated = model.features(images, known)
    assert (evaluated - unknown).abs().amax((1, 2)).min() > 0.01
    trained = model.train().features(images, known)
    found = ((trained - unknown).abs().amax((1, 2)) < 1e-3).sum().item()
    assert found == pytest.approx(hidden, abs=20 * (0 < share < 1))


def test_a_rendering_loss_trains_every_part(model: GINA3D, images: Tensor) -> None:
    made = model(images, Sight(mask=object_on_the_left(images)))
    quantized, scenes = made.quantized, made.scenes
    points = 0.2 * (torch.rand(3, 20, 3, generator=torch.Generator().manual_seed(1)) - 0.5)
    density, color = scenes.at(points)
    (density.sum() + color.sum() + quantized.loss).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    model.zero_grad()


def test_a_recipe_builds_it_again() -> None:
    model = tiny_gina3d("metric")
    built = build_model(model.recipe())
    assert isinstance(built, GINA3D)
    assert built.recipe() == model.recipe()
    built.load_state_dict(model.state_dict())


def test_the_published_size() -> None:
    with torch.device("meta"):
        model = GINA3D()
    assert model.layout.tokens == 3 * 16 * 16
    assert model.codes == 2048
    count = sum(parameter.numel() for parameter in model.parameters())
    assert round(count / 1e6) == PUBLISHED_MILLIONS


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"resolution": 30}, "resolution is 30, it must be a multiple of the patch, 16"),
        ({"grid": 12}, "Tokens on 3 planes of 12 x 12 do not grow to planes of side 256"),
        ({"coordinates": "world"}, "coordinates is 'world', it must be 'box' or 'metric'"),
        ({"reach": 0.0}, "reach"),
        ({"background": 2.0}, "background"),
        ({"mask_dropout": 1.5}, "mask_dropout is 1.5"),
    ],
)
def test_settings_that_do_not_fit_are_refused(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said), torch.device("meta"):
        GINA3D(**setting)  # type: ignore[arg-type]
