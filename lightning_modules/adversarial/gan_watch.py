"""Diversity of a generator's scenes, from fixed latents, by which collapse is noticed."""

import torch
from torch import Tensor

from lightning_modules.adversarial.adversary import Adversary
from lightning_modules.adversarial.collapse import diversity, relative_diversity
from lightning_modules.adversarial.discriminator_input import DiscriminatorInput
from lightning_modules.adversarial.gan_views import Judged, render_judged
from models.scenes import expand_camera
from models.wildgan import WildGAN
from renderers.cameras import Camera

SCENES_AT_ONCE = 16
"""Bounds the memory; a multiple of the discriminator's groups (`minibatch_stddev`)."""


@torch.no_grad()
def diversities(
    model: WildGAN,
    adversary: Adversary,
    shown: DiscriminatorInput,
    scenes: int,
    rng: torch.Generator,
) -> dict[str, float]:
    """Diversity within classes of `scenes` scenes, always the same latents and the same view: of
    their colours, and of the discriminator's features, whatever their scale has become.

    rng: of the samples along the rays.
    """
    classes = max(1, model.classes)
    labels = torch.arange(scenes, device=rng.device) % classes
    colors, features = [], []
    for start in range(0, scenes, SCENES_AT_ONCE):
        some = labels[start : start + SCENES_AT_ONCE]
        view = _canonical_view(model, some, start, rng, with_disparity=shown.settings.disparity)
        colors.append(view.image.flatten(1).float())
        features.append(adversary.discriminator.features(shown.joined(view)).float())
    found = torch.stack(
        [
            diversity(torch.cat(colors), labels, classes),
            relative_diversity(torch.cat(features), labels, classes),
        ]
    )
    return dict(zip(("colors", "features"), found.tolist(), strict=True))


def _canonical_view(
    model: WildGAN, labels: Tensor, first_seed: int, rng: torch.Generator, *, with_disparity: bool
) -> Judged:
    """Images of one scene of each label (B,), seen from the middle of the views of training."""
    made = model.scenes(model.mapped(labels, range(first_seed, first_seed + len(labels))))
    camera = expand_camera(model.canonical.on(rng.device), len(labels))
    return render_judged(
        made,
        Camera(camera.cam2world[:, None], camera.intrinsics[:, None]),
        model.resolution,
        model.raw_resolution,
        rng,
        with_disparity=with_disparity,
    )
