"""What the two discriminators of stage 1 are shown, when they learn, and whom they teach."""

import pytest
import torch
from tiny_model import SIDE, tiny_model
from torch import Tensor, nn

from lightning_modules.adversarial.stage1_adversaries import (
    Compared,
    LateDiscriminator,
    Stage1Adversaries,
    as_image,
    compared_images,
    with_disparity,
)
from lightning_modules.losses.occlusion import shown
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import (
    NovelViews,
    Pixels,
    RayPlan,
    Renderings,
    draw_pixels,
    render_views,
)
from models.spaces import ContractedSpace
from models.vq3d import VQ3D
from renderers.pixels import gather_image, patch_pixels, strided_pixels
from renderers.rendering import Rendering

PLAN = RayPlan(grid_stride=2, patch=8, patch_images=2, novel_images=2)
GRID = SIDE // PLAN.grid_stride
SPACE = ContractedSpace(near=1.0, far=5.0)  # disparities from 0.2 to 1
BOTH = Stage1Weights(adversarial=0.1, novel_view=0.1)
AT_ONCE = BOTH.at(0)


def adversaries(weights: Stage1Weights = BOTH, **settings: float) -> Stage1Adversaries:
    torch.manual_seed(0)
    return Stage1Adversaries(
        SIDE,
        PLAN,
        weights,
        LateDiscriminator(channel_base=64, channel_max=8, **settings),
    )


def images() -> Tensor:
    return torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def rendering(seed: int, batch: int) -> Rendering:
    rng = torch.Generator().manual_seed(seed)
    disparity = 0.2 + 0.8 * torch.rand(batch, GRID**2, generator=rng)
    samples = torch.zeros(batch, GRID**2, 1)
    rgb = torch.rand(batch, GRID**2, 3, generator=rng)
    return Rendering(rgb, 1 / disparity, disparity, torch.ones_like(disparity), samples, samples)


def given_views() -> tuple[Pixels, Renderings]:
    """Four canonical views of numbers; patches at known corners and novel views of two of them."""
    grid = strided_pixels(SIDE, SIDE, 2, torch.zeros(4, 2, dtype=torch.long))
    pixels = Pixels(grid, patch_pixels(SIDE, SIDE, 8, torch.tensor([[3, 5], [0, 8]])))
    return pixels, Renderings(
        rendering(1, 4), torch.ones(4, GRID**2, 1), rendering(2, 2), rendering(3, 2)
    )


def rendered_views(model: VQ3D) -> tuple[Pixels, Renderings]:
    """What a training step renders of `images()`."""
    rng = torch.Generator().manual_seed(0)
    pixels = draw_pixels(PLAN, 4, SIDE, True, rng)
    novel = NovelViews().draw(model.view, 2, 1.0, rng)
    return pixels, render_views(model, model.reconstruct(images()), pixels, novel, rng)


def compare(pixels: Pixels, views: Renderings, model: VQ3D | None = None) -> Compared:
    model = tiny_model(space=SPACE) if model is None else model
    target = gather_image(images()[:2], pixels.patch)
    patch = shown(views.patch.rgb, views.patch.opacity, target, None, None)
    return compared_images(patch, views, model)


def learn(
    made: Stage1Adversaries, compared: Compared, images_seen: int = 0, step: int = 1
) -> tuple[Tensor | None, dict[str, Tensor]]:
    scored = made.score(compared, images_seen, AT_ONCE)
    return made.discriminator_loss(compared, scored, images_seen, step)


def generator_terms(
    made: Stage1Adversaries, compared: Compared, weights: dict[str, float] = AT_ONCE
) -> dict[str, Tensor]:
    return made.generator_terms(compared, made.score(compared, 0, weights), weights)


def as_seen(view: Rendering) -> Tensor:
    """A view of SPACE as a discriminator reads it (B, 4, 8, 8): RGB and disparity in [-1, 1]."""
    disparity = (view.disparity[..., None] - 0.2) / 0.8
    values = torch.cat([view.rgb, disparity], -1).reshape(-1, GRID, GRID, 4)
    return 2 * values.permute(0, 3, 1, 2) - 1


class Witness(nn.Module):
    """A discriminator that scores by the mean and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, pictures: Tensor, labels: None = None, members: None = None) -> Tensor:
        self.seen.append(pictures.detach())
        return pictures.mean((1, 2, 3))


def test_the_novel_view_judge_takes_canonical_renders_for_real_and_novel_ones_for_fake() -> None:
    made, (pixels, views) = adversaries(), given_views()
    made.novel.discriminator = witness = Witness()
    learn(made, compare(pixels, views))
    fake, real = witness.seen
    torch.testing.assert_close(real, as_seen(views.grid)[:2])
    torch.testing.assert_close(fake, as_seen(views.novel))


def test_the_main_judge_takes_the_photograph_for_real_and_its_render_for_fake() -> None:
    made, (pixels, views) = adversaries(), given_views()
    made.main.discriminator = witness = Witness()
    learn(made, compare(pixels, views))
    fake, real = witness.seen
    photographs = images()
    patches = torch.stack([photographs[0, :, 3:11, 5:13], photographs[1, :, 0:8, 8:16]])
    torch.testing.assert_close(real, 2 * patches - 1)
    torch.testing.assert_close(fake, as_seen(views.patch)[:, :3])


def test_the_autoencoder_is_judged_by_its_fakes() -> None:
    made, (pixels, views) = adversaries(), given_views()
    made.main.discriminator, made.novel.discriminator = main, novel = Witness(), Witness()
    generator_terms(made, compare(pixels, views))
    (patch,), (view,) = main.seen, novel.seen
    torch.testing.assert_close(patch, as_seen(views.patch)[:, :3])
    torch.testing.assert_close(view, as_seen(views.novel))


def test_judging_moves_colour_and_disparity_of_the_fakes_and_no_canonical_render() -> None:
    made, (pixels, views) = adversaries(), given_views()
    for view in (views.grid, views.patch, views.novel):
        view.rgb.requires_grad_()
        view.disparity.requires_grad_()
    torch.stack(list(generator_terms(made, compare(pixels, views)).values())).sum().backward()
    for moved in (views.patch.rgb, views.novel.rgb, views.novel.disparity):
        assert (moved.grad != 0).any(-1).all()
    assert views.grid.rgb.grad is None
    assert views.grid.disparity.grad is None


@pytest.mark.parametrize("term", ["adversarial", "novel_view"])
def test_judging_teaches_the_autoencoder_and_no_judge(term: str) -> None:
    model, made = tiny_model(), adversaries()
    generator_terms(made, compare(*rendered_views(model), model))[term].backward()
    for part in (model.embed, model.decoder, model.to_planes, model.field):
        assert any((p.grad != 0).any() for p in part.parameters() if p.grad is not None)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_learning_teaches_both_judges_and_not_the_autoencoder() -> None:
    model, made = tiny_model(), adversaries()
    loss, _ = learn(made, compare(*rendered_views(model), model), step=0)
    loss.backward()
    for judge in (made.main, made.novel):
        assert all((parameter.grad != 0).any() for parameter in judge.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_nothing_is_learned_before_its_time() -> None:
    made, (pixels, views) = adversaries(train_from=100), given_views()
    assert learn(made, compare(pixels, views), 99, step=0) == (None, {})
    loss, logs = learn(made, compare(pixels, views), 100)
    assert loss > 0
    assert {"discriminator_main/loss", "discriminator_novel/loss"} <= set(logs)


def test_judges_learn_while_their_weight_is_still_zero() -> None:
    later = Stage1Weights(adversarial=[(50, 0.0), (90, 0.1)], novel_view=[(50, 0.0), (90, 0.1)])
    made, (pixels, views) = adversaries(later), given_views()
    compared, weights = compare(pixels, views), later.at(50)
    assert made.looks_at("novel_view", 50, weights)
    scored = made.score(compared, 50, weights)
    assert made.generator_terms(compared, scored, weights) == {}
    assert made.discriminator_loss(compared, scored, 50, step=1)[0] is not None
    assert set(generator_terms(made, compared, later.at(60))) == {"adversarial", "novel_view"}


def test_images_that_nothing_looks_at_are_not_scored() -> None:
    later = Stage1Weights(adversarial=[(50, 0.0), (90, 0.1)], novel_view=[(50, 0.0), (90, 0.1)])
    made, compared = adversaries(later, train_from=40), compare(*given_views())
    assert made.score(compared, 39, later.at(39)) == {}
    assert set(made.score(compared, 40, later.at(40))) == {"adversarial", "novel_view"}


def test_both_judges_pay_r1_at_its_interval_only() -> None:
    made, (pixels, views) = adversaries(r1_interval=3), given_views()
    paid = {"main": [], "novel": []}
    for step in range(7):
        _, logs = learn(made, compare(pixels, views), step=step)
        for judge, steps in paid.items():
            if f"discriminator_{judge}/r1" in logs:
                steps.append(step)
    assert paid == {"main": [0, 3, 6], "novel": [0, 3, 6]}


@pytest.mark.parametrize(
    ("weights", "built"),
    [
        (Stage1Weights(adversarial=0.0, novel_view=0.0), (False, False)),
        (Stage1Weights(adversarial=0.1, novel_view=[(0, 0.0), (9, 0.0)]), (True, False)),
        (Stage1Weights(adversarial=0.0, novel_view=[(0, 0.0), (9, 0.1)]), (False, True)),
    ],
)
def test_a_judge_without_weight_is_not_built(
    weights: Stage1Weights, built: tuple[bool, bool]
) -> None:
    made, (pixels, views) = adversaries(weights), given_views()
    assert (made.main is not None, made.novel is not None) == built
    compared = compare(pixels, views)
    scored = made.score(compared, 0, weights.at(0))
    loss, logs = made.discriminator_loss(compared, scored, 0, step=1)
    assert (loss is not None) is any(built)
    names = {name.split("/")[0] for name in logs}
    judges = ("discriminator_main", "discriminator_novel")
    assert names == {name for name, there in zip(judges, built, strict=True) if there}
    assert made.looks_at("novel_view", 9, weights.at(9)) is built[1]
    assert any(True for _ in made.parameters()) is any(built)


def test_rays_become_an_image_row_by_row() -> None:
    rays = torch.arange(8.0).reshape(1, 4, 2) / 7  # 2 x 2 pixels of 2 channels
    image = as_image(rays)
    assert image.shape == (1, 2, 2, 2)
    torch.testing.assert_close(image[0, 0], torch.tensor([[0.0, 2.0], [4.0, 6.0]]) / 7)


def test_disparity_becomes_the_fourth_channel() -> None:
    rgb, disparity = torch.rand(2, 16, 3), torch.rand(2, 16)
    joined = as_image(with_disparity(rgb, disparity))
    assert joined.shape == (2, 4, 4, 4)
    torch.testing.assert_close(joined[:, 3], disparity.reshape(2, 4, 4))
    torch.testing.assert_close(joined[:, :3], as_image(rgb))
