"""The look at a generator that tells whether it collapses."""

import torch

from lightning_modules.collapse import diversity, relative_diversity
from lightning_modules.critic import Critic
from lightning_modules.gan_views import render_judged
from models.wildgan import WildGAN


@torch.no_grad()
def diversities(
    model: WildGAN, critic: Critic, scenes: int, noise: torch.Generator
) -> dict[str, float]:
    """Diversity within classes of `scenes` scenes, always the same latents and the same view: of
    their colours, and of what the critic sees in them, whatever its scale has become.

    noise: of the samples along the rays.
    """
    labels = torch.arange(scenes, device=noise.device) % max(1, model.classes)
    made = model.scenes(model.mapped(labels, range(scenes)))
    camera = model.views.canonical().camera(noise.device)
    cameras = model.views.cameras(camera.position.expand(scenes, 1, 3))
    view = render_judged(
        made,
        cameras,
        model.resolution,
        model.raw_resolution,
        noise,
        with_disparity=critic.view.disparity,
    )
    return {
        "colors": float(diversity(view.image.flatten(1).float(), labels)),
        "features": float(relative_diversity(critic.features(view).float(), labels)),
    }
