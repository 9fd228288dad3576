"""The search for a start finds what is among the candidates."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tiny_gan import SIDE, tiny_gan

from datamodules.errors import DataError
from lightning_modules.inference.inversion.distance import PixelDistance
from lightning_modules.inference.inversion.search import (
    VIEWS_KEPT,
    best_start,
    candidate_latents,
    candidate_views,
)
from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.inversion.target import InversionTarget
from models.view_distribution import ViewDistribution
from models.wildgan import MEAN_SAMPLES


def test_the_nearest_pair_of_view_and_latent_is_found() -> None:
    model, settings = tiny_gan(), InversionSettings(candidates=6, views=5)
    mapped, views = candidate_latents(model, 2, settings), candidate_views(model.views, settings)
    assert (len(mapped), len(set(views))) == (7, 5)
    reports: list[tuple[str, int, int, float]] = []
    for view, latent in ((3, 0), (1, 0), (1, 4), (2, 6)):
        photo = model.scenes(mapped[[latent]]).view(views[view].camera(), SIDE, SIDE).rgb
        targets = [InversionTarget(photo, one, PixelDistance()) for one in views]
        reports.clear()
        target, start = best_start(model, targets, mapped, lambda *at: reports.append(at))
        assert target.view == views[view]
        assert torch.equal(start, mapped[[latent]])
        assert [at[:3] for at in reports][-1] == ("latents", 7, 7)
        assert reports[-1][3] < 1e-6


def test_a_latent_may_speak_for_another_view_than_the_mean_does() -> None:
    model, settings = tiny_gan(), InversionSettings(candidates=8, views=VIEWS_KEPT)
    mapped, views = candidate_latents(model, 2, settings), candidate_views(model.views, settings)
    right = []
    for index in range(1, len(mapped)):
        photo = model.scenes(mapped[[index]]).view(views[0].camera(), SIDE, SIDE).rgb
        targets = [InversionTarget(photo, view, PixelDistance()) for view in views]
        target, start = best_start(model, targets, mapped, lambda *_: None)
        assert target.view == views[0]
        assert torch.equal(start, mapped[[index]])
        right.append(best_start(model, targets, mapped[:1], lambda *_: None)[0].view == views[0])
    assert not all(right)  # by the mean alone


def test_candidates_are_of_their_class_and_the_first_is_its_mean() -> None:
    model = tiny_gan()
    found = [candidate_latents(model, label, InversionSettings(candidates=3)) for label in (0, 1)]
    assert not torch.allclose(*found)
    means = model.mapped(torch.tensor([0, 1]), [5, 6], truncation=0.0)
    # Both are means of other samples of as many latents.
    spread = 6 * found[0][1:].std() / math.sqrt(MEAN_SAMPLES)
    for one, mean in zip(found, means, strict=True):
        torch.testing.assert_close(one[0], mean, atol=float(spread), rtol=0)


def test_views_are_far_apart_within_their_distribution() -> None:
    band = ViewDistribution(2.0, 40.0, (-90.0, 0.0), (10.0, 20.0))
    views = candidate_views(band, InversionSettings(views=6))
    yaws = sorted(math.degrees(view.yaw) for view in views)
    steps = [b - a for a, b in pairwise(yaws)]
    assert steps == pytest.approx([15] * 5, abs=1e-3)
    assert -90 <= yaws[0] < yaws[-1] <= 0
    assert all(10 <= math.degrees(view.pitch) <= 20 for view in views)
    assert {(view.radius, view.fov_degrees) for view in views} == {(2.0, 40.0)}
    known = InversionSettings(yaw_degrees=200.0, pitch_degrees=-5.0)
    (view,) = candidate_views(band, known)
    assert (view.yaw, view.pitch) == pytest.approx((math.radians(200), math.radians(-5)))
    other = candidate_views(band, replace(InversionSettings(views=6), seed=1))
    assert other != views


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"latent_steps": -1}, "--latent_steps is -1, it must be from 0"),
        ({"views": 0}, "--views is 0, it must be from 1"),
        ({"tuning_lr": 0.0}, "--tuning_lr is 0.0, it must be from"),
        ({"yaw_degrees": 5.0}, "yaw_degrees is 5.0, pitch_degrees None: give both"),
        (
            {"yaw_degrees": 5.0, "pitch_degrees": 95.0},
            "--pitch_degrees is 95.0, it must be from -90 to 90",
        ),
    ],
)
def test_settings_out_of_range_are_refused(given: dict, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        InversionSettings(**given)
