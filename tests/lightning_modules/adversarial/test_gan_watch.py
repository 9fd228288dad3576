import math

import pytest
import torch
from tiny_gan import SIDE, tiny_gan

from lightning_modules.adversarial import gan_watch
from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings
from lightning_modules.adversarial.collapse import diversity
from lightning_modules.adversarial.discriminator_input import DiscriminatorInput, InputSettings
from lightning_modules.adversarial.gan_views import Judged, render_judged
from lightning_modules.adversarial.gan_watch import diversities
from models.view_distribution import ViewDistribution
from models.wildgan import WildGAN
from renderers.cameras import Camera

SCENES = 20


def look(model: WildGAN, scenes: int = SCENES) -> dict[str, float]:
    torch.manual_seed(0)
    adversary = Adversary(3, SIDE, DiscriminatorSettings(64, 8), model.classes)
    shown = DiscriminatorInput(SIDE, False, InputSettings())
    return diversities(model, adversary, shown, scenes, torch.Generator().manual_seed(0))


def test_scenes_are_seen_from_the_middle_of_the_views_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Camera] = []

    def watched(scenes: object, cameras: Camera, *rest: object, **named: bool) -> Judged:
        seen.append(cameras)
        return render_judged(scenes, cameras, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(gan_watch, "render_judged", watched)
    look(tiny_gan(views=ViewDistribution(2.5, 40.0, pitch_degrees=(5.0, 35.0))))
    assert [len(cameras.position) for cameras in seen] == [16, 4]
    position = torch.cat([cameras.position for cameras in seen])  # (N, 1, 3)
    wanted = 2.5 * torch.tensor([0.0, math.sin(math.pi / 9), math.cos(math.pi / 9)])
    torch.testing.assert_close(position, wanted.expand(SCENES, 1, 3))


def test_colours_are_compared_within_classes_over_all_scenes() -> None:
    model = tiny_gan()
    labels = torch.arange(SCENES) % model.classes
    scenes = model.scenes(model.mapped(labels, range(SCENES)))
    colors = scenes.view(scenes.canonical, SIDE, SIDE).rgb.flatten(1)
    spread = diversity(colors, labels, model.classes)
    # Samples along the rays are jittered.
    assert look(model)["colors"] == pytest.approx(spread.item(), rel=0.1)


def test_a_generator_that_ignores_its_latent_has_none() -> None:
    model = tiny_gan()
    varied = look(model)
    with torch.no_grad():
        model.mapping.layers[0].weight[:, : model.backbone.latent] = 0
    alike = look(model)
    assert alike["colors"] < 0.2 * varied["colors"]
    assert alike["features"] < 0.2 * varied["features"]
