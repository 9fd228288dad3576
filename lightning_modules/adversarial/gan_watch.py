"""The look at a generator that tells whether it collapses."""

import torch
from torch import Tensor

from lightning_modules.adversarial.collapse import diversity, relative_diversity
from lightning_modules.adversarial.critic import Critic
from lightning_modules.adversarial.gan_views import render_judged
from models.scenes import expand_camera
from models.wildgan import WildGAN
from renderers.cameras import Camera

SCENES_AT_ONCE = 16
"""Bounds the memory; a multiple of the discriminator's groups (`minibatch_stddev`)."""


@torch.no_grad()
def diversities(
    model: WildGAN, critic: Critic, scenes: int, rng: torch.Generator
) -> dict[str, float]:
    """Diversity within classes of `scenes` scenes, always the same latents and the same view: of
    their colours, and of what the critic sees in them, whatever its scale has become.

    rng: of the samples along the rays.
    """
    labels = torch.arange(scenes, device=rng.device) % max(1, model.classes)
    looks = [
        _look(model, critic, labels[start : start + SCENES_AT_ONCE], start, rng)
        for start in range(0, scenes, SCENES_AT_ONCE)
    ]
    colors, features = (torch.cat(parts) for parts in zip(*looks, strict=True))
    return {
        "colors": float(diversity(colors, labels)),
        "features": float(relative_diversity(features, labels)),
    }


def _look(
    model: WildGAN, critic: Critic, labels: Tensor, first_seed: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Colours and features (B, F) of one scene of each label (B,), seen from the middle of the
    views of training."""
    made = model.scenes(model.mapped(labels, range(first_seed, first_seed + len(labels))))
    camera = expand_camera(model.views.canonical().camera(rng.device), len(labels))
    view = render_judged(
        made,
        Camera(camera.cam2world[:, None], camera.intrinsics[:, None]),
        model.resolution,
        model.raw_resolution,
        rng,
        with_disparity=critic.view.disparity,
    )
    return view.image.flatten(1).float(), critic.features(view).float()
