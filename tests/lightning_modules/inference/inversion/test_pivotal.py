"""Pivotal tuning recovers what a generator drew, a phase at a time."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_gan import SIDE, tiny_gan
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.inversion.distance import PixelDistance
from lightning_modules.inference.inversion.pivotal import Inversion, invert_photo
from lightning_modules.inference.inversion.search import candidate_views
from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.inversion.target import InversionTarget
from lightning_modules.inference.inversion.tuning import fit_latent, tune_generator
from models.autoencoder import CanonicalView
from models.wildgan import WildGAN

VIEW = CanonicalView(2.0, 40.0, 0.7, 0.2)
KNOWN = {"yaw_degrees": math.degrees(VIEW.yaw), "pitch_degrees": math.degrees(VIEW.pitch)}
QUICK = InversionSettings(40, 6e-2, 30, 6e-3, candidates=4, **KNOWN)


def silent(*_: object) -> None:
    """Report nothing."""


def drawn(model: WildGAN, mapped: Tensor) -> Tensor:
    return model.scenes(mapped).view(VIEW.camera(), SIDE, SIDE).rgb


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def weights(model: WildGAN) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model: WildGAN, before: dict[str, Tensor]) -> set[str]:
    """The parts of a model whose weights are others than before."""
    after = model.state_dict()
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("raw_resolution", [16, 8])
def test_a_target_sees_what_people_see(raw_resolution: int) -> None:
    model = tiny_gan(raw_resolution=raw_resolution)
    mapped = model.mapped(torch.tensor([1]), [3])
    target = InversionTarget(torch.zeros(1, 3, SIDE, SIDE), VIEW, PixelDistance())
    seen = target.image(model.scenes(mapped))
    torch.testing.assert_close(seen.clamp(0, 1), drawn(model, mapped))
    found = InversionTarget(drawn(model, mapped), VIEW, PixelDistance()).metrics(
        model.scenes(mapped)
    )
    assert found.mse < 1e-10
    assert found.psnr > 90
    assert found.distance < 1e-10


def test_a_latent_nearby_is_recovered_and_the_generator_stays() -> None:
    model = tiny_gan()
    goal = model.mapped(torch.tensor([1]), [3])
    target = InversionTarget(drawn(model, goal), VIEW, PixelDistance())
    start = goal + 0.3 * torch.randn(goal.shape, generator=noise())
    given = start.clone()
    before, losses = weights(model), []
    found = fit_latent(model, start, target, 50, 8e-2, lambda *at: losses.append(at[-1]))
    assert losses[-1] < losses[0] / 50
    assert target.metrics(model.scenes(found)).psnr > 35
    assert not changed(model, before)
    assert not found.requires_grad
    assert torch.equal(start, given)


def test_a_rate_at_which_it_diverges_is_named() -> None:
    model = tiny_gan()
    mapped = model.mapped(torch.tensor([1]), [3])
    target = InversionTarget(drawn(model, mapped), VIEW, PixelDistance())
    with pytest.raises(
        DataError, match=r"diverged after \d+ steps at latent_lr 1e\+30: lower --late"
    ):
        fit_latent(model, mapped, target, 5, 1e30, silent)
    with pytest.raises(
        DataError, match=r"diverged after \d+ steps at tuning_lr 1e\+30: lower --tuni"
    ):
        tune_generator(model, mapped, target, 5, 1e30, silent)


def test_the_generator_is_tuned_in_a_copy_around_the_latent() -> None:
    model = tiny_gan(raw_resolution=8)
    photo = torch.rand(1, 3, SIDE, SIDE, generator=noise()) * 0.2 + 0.4
    target, mapped = (
        InversionTarget(photo, VIEW, PixelDistance()),
        model.mapped(torch.tensor([0]), [1]),
    )
    before, latent = weights(model), mapped.clone()
    tuned = tune_generator(model, mapped, target, 30, 6e-3, silent)
    assert torch.equal(mapped, latent)
    assert not changed(model, before)
    assert changed(tuned, before) == {"synthesis", "field", "refiner"}
    assert not any(parameter.requires_grad for parameter in tuned.parameters())
    ends = [target.metrics(made.scenes(mapped)).mse for made in (model, tuned)]
    assert ends[1] < ends[0] / 4


def inverted(model: WildGAN, photo: Tensor, settings: InversionSettings = QUICK) -> Inversion:
    return invert_photo(model, 1, photo, PixelDistance(), settings, silent)


def test_a_photograph_comes_nearer_with_each_phase() -> None:
    model = tiny_gan()
    photo = drawn(model, model.mapped(torch.tensor([1]), [3]))
    found = inverted(model, photo)
    assert found.start.psnr + 1 < found.latent.psnr < found.tuned.psnr
    assert found.latent.distance < found.start.distance / 2
    assert found.tuned.psnr > 30
    scenes = found.photo.scenes()
    seen = scenes.view(scenes.canonical, SIDE, SIDE).rgb
    error = float((seen - photo).square().mean())
    assert error == pytest.approx(found.tuned.mse, rel=1e-3)


def test_equal_seeds_give_equal_scenes() -> None:
    model, short = tiny_gan(), InversionSettings(4, 6e-2, 4, 6e-3, candidates=3, views=3)
    photo = drawn(model, model.mapped(torch.tensor([1]), [3]))
    found, again = (inverted(model, photo, short) for _ in range(2))
    assert torch.equal(again.photo.mapped, found.photo.mapped)
    assert again.photo.view == found.photo.view
    assert again.tuned == found.tuned
    other = inverted(model, photo, replace(short, seed=1))
    assert other.photo.view != found.photo.view
    assert other.start != found.start


def test_a_known_view_is_kept() -> None:
    settings = replace(QUICK, latent_steps=0, tuning_steps=0, yaw_degrees=-30.0, pitch_degrees=10.0)
    model = tiny_gan()
    photo = drawn(model, model.mapped(torch.tensor([1]), [3]))
    found = inverted(model, photo, settings)
    view = found.photo.view
    assert torch.tensor([view.yaw, view.pitch]).rad2deg().tolist() == pytest.approx([-30, 10])
    assert found.start == found.latent == found.tuned


def test_a_view_that_is_given_is_kept_and_another_improved() -> None:
    model = tiny_gan()
    photo = drawn(model, model.mapped(torch.tensor([1]), [3]))
    given = invert_photo(model, 1, photo, PixelDistance(), replace(QUICK, latent_steps=2), silent)
    assert (given.photo.view.yaw, given.photo.view.pitch) == pytest.approx((VIEW.yaw, VIEW.pitch))
    free = replace(QUICK, latent_steps=2, views=200, yaw_degrees=None, pitch_degrees=None)
    found = invert_photo(model, 1, photo, PixelDistance(), free, silent).photo.view
    starts = candidate_views(model.views, free)
    assert min(abs(one.yaw - found.yaw) + abs(one.pitch - found.pitch) for one in starts) > 1e-4
