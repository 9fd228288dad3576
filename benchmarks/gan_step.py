"""A whole iteration of GAN training: against plain float32 PyTorch, with R1, and with three views.

An iteration is what `GAN.training_step` computes without its lazy terms: planes, views of them, the
generator's loss, its gradient and Adam step, then the critic's on photographs and on those views.
Sizes are EG3D's: planes 3 x 32 x 256 x 256, 64 x 64 rays of 48 + 48 samples, images of 128 pixels.
The batch is 2, half of EG3D's on a device, to save minutes: every cost but Adam's small one is
proportional to it. Both sides start from the same weights and draw the same numbers, and are
refused unless the losses and gradient norms of their first iterations agree.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.gan import PRODUCTS, PRODUCTS_NAME
from benchmarks.harness import (
    Rates,
    Result,
    Side,
    gemm_rates,
    gemm_sides,
    interleaved,
    medians,
    ratio,
    result,
)
from benchmarks.plain_paths import plain_paths
from lightning_modules.adversarial.adversary import DiscriminatorSettings
from lightning_modules.adversarial.collapse import CollapseWatch
from lightning_modules.adversarial.gan_views import Judged, render_judged
from lightning_modules.gan import GAN
from models.blocks.plane_decoder import PlaneSize
from models.scenes import resized
from models.wildgan import BackboneSize, WildGAN
from renderers.ray_sampling import RaySampling

OURS = f"wild3d, {PRODUCTS_NAME}"
PLAIN = "plain PyTorch, float32, (C, H, W)"
REQUIRED, SHARE = 4.0, 0.8
"""Speedup to reach, or that share of what the faster matrix products allow where it is less."""
TOLERANCE = 1e-4 if PRODUCTS is torch.float32 else 0.1
"""Relative difference of the sides' losses and gradient norms."""
ROUNDS = 2
"""At most; a round takes minutes on two cores."""
BACKBONE, PLANES = BackboneSize(), PlaneSize(32, 256)
JUDGE = DiscriminatorSettings(32768, 512, r1=1.0)
PENALISED, UNPENALISED = 0, 1
"""Steps at which R1 is due and isn't."""


@dataclass(frozen=True)
class Setting:
    """Sizes of an iteration."""

    batch: int = 2
    classes: int = 100
    resolution: int = 128
    raw: int = 64
    samples: int = 48
    backbone: BackboneSize = BACKBONE
    planes: PlaneSize = PLANES
    judge: DiscriminatorSettings = JUDGE

    def generator(self) -> WildGAN:
        """The generator, its super-resolution at work from the start, so that it is compared."""
        sampling = RaySampling(self.samples, self.samples)
        model = WildGAN(
            self.classes,
            self.resolution,
            self.raw,
            self.backbone,
            self.planes,
            sampling=sampling,
        )
        assert model.refiner is not None
        for name, parameter in model.refiner.named_parameters():
            if name.endswith("to_rgb.weight"):
                nn.init.normal_(parameter, std=0.1)
        return model


class Training:
    """Networks, optimisers and data of one side."""

    def __init__(self, setting: Setting) -> None:
        torch.manual_seed(0)
        self.gan = GAN(
            setting.generator(),
            discriminator=setting.judge,
            collapse=CollapseWatch(scenes=2 * setting.classes),
        )
        self.optimizers = self.gan.configure_optimizers()
        side = setting.resolution
        photos = torch.rand(setting.batch, 3, side, side).to(memory_format=torch.channels_last)
        self.real = Judged(photos, resized(photos, setting.raw, setting.raw))
        self.labels = torch.randint(setting.classes, (setting.batch,))

    def iterate(self, dtype: torch.dtype, views: int = 1, step: int = UNPENALISED) -> Tensor:
        """Take a step of both networks, convolutions in `dtype`; return their losses and gradient
        norms (4,)."""
        model, labels = self.gan.generator, self.labels
        rng = torch.Generator().manual_seed(0)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            scenes = model(torch.randn(len(labels), model.backbone.latent, generator=rng), labels)
            cameras = model.views.cameras(model.views.directions(len(labels), views, rng))
            fake = render_judged(scenes, cameras, model.resolution, model.raw_resolution, rng)
            scored = self.gan.score_views(fake, labels, rng)
            loss = self.gan.adversary.generator_loss(scored)
            norm = step_optimizer(self.optimizers[0], loss)
            real = self.gan.shown(self.real, 0, rng)
            judged, _ = self.gan.adversary.discriminator_loss(real, scored, step, labels)
            judged_norm = step_optimizer(self.optimizers[1], judged)
            return torch.stack([loss, judged, norm, judged_norm]).detach()

    def iterate_plainly(self) -> Tensor:
        """`iterate` by plain operations, in float32."""
        with plain_paths():
            return self.iterate(torch.float32)


def step_optimizer(optimizer: Optimizer, loss: Tensor) -> Tensor:
    """Differentiate and step as `TrainingModule.step_optimizer` does; return the gradient norm."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, float("inf"))
    optimizer.step()
    return norm


def check_same(ours: Tensor, plain: Tensor) -> None:
    """Refuse to compare iterations that compute different things.

    Raises:
        RuntimeError: losses or gradient norms (4,) of the first iterations differ.
    """
    difference = ((ours - plain).abs() / plain.abs()).max().item()
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"Losses and gradient norms {ours.tolist()} differ from the plain iteration's "
            f"{plain.tolist()} by {difference:.2g}, more than {TOLERANCE}: one side is wrong."
        )


def run(rates: Rates, rounds: int) -> list[Result]:
    """Measure everything, with the rates of matrix products of this benchmark's own minutes."""
    times = measure(Setting(), min(rounds, ROUNDS))
    rates, median = gemm_rates(times), medians(times)
    ours = rates.f32 if PRODUCTS is torch.float32 else rates.bf16
    speedup, r1, views = (
        ratio(times, *pair)
        for pair in (("plain", "ours"), ("penalised", "ours"), ("three_views", "ours"))
    )
    label = f"{OURS}, batch {Setting().batch}"
    required = min(REQUIRED, SHARE * ours / rates.f32)
    return [
        result("gan_iteration_speedup", speedup, "x", (OURS, PLAIN), rates),
        result("gan_iteration_required", required, "x", (OURS, PLAIN), rates),
        result("gan_iteration", median["ours"] * 1e3, "ms", (label, ""), rates),
        result("gan_iteration_plain", median["plain"] * 1e3, "ms", (PLAIN, ""), rates),
        result("r1_cost", r1, "x", ("iteration with R1", label), rates),
        result("three_view_cost", views, "x", ("iteration with 3 views", label), rates),
    ]


def measure(setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Time all iterations and the matrix products; the check of both sides warms them up."""
    training, other = Training(setting), Training(setting)
    check_same(training.iterate(PRODUCTS), other.iterate_plainly())
    ours = partial(training.iterate, PRODUCTS)
    sides: dict[str, Side] = {
        **gemm_sides(),
        "ours": ours,
        "plain": other.iterate_plainly,
        "penalised": partial(ours, step=PENALISED),
        "three_views": partial(ours, views=3),
    }
    return interleaved(sides, rounds, warmup=0)
