"""Every training with everything on, and a batch for each, small enough for a step in moments."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tiny_gina3d import tiny_gina3d
from tiny_prior_run import LAYOUT, SIZE, write_stage1
from torchvision.models.vgg import cfgs, make_layers

from datamodules.schema import Attributes, Batch, PixelRays, TokenBatch
from lightning_modules.adversarial.adaptive_augmentation import AdaptiveAugmentation
from lightning_modules.adversarial.adversary import DiscriminatorSettings
from lightning_modules.adversarial.collapse import CollapseWatch
from lightning_modules.adversarial.discriminator_input import InputSettings
from lightning_modules.adversarial.gan_views import MultiView
from lightning_modules.adversarial.stage1_adversaries import LateDiscriminator
from lightning_modules.classifier import ClassifierTraining
from lightning_modules.depth import DepthTraining
from lightning_modules.evaluation.gan_score import ScoreSettings
from lightning_modules.gan import GAN
from lightning_modules.losses.density import DensitySmoothness
from lightning_modules.losses.perceptual import VGG16_FILE
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1 import Stage1
from lightning_modules.stage1_rays import RayPlan
from lightning_modules.stage2 import Stage2
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.image_jitter import Jitter
from lightning_modules.training.optimization import OptimizerSettings
from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.classifier import SmallClassifier
from models.depth_network import SmallDepthNetwork
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior
from models.priors.token_prior import TokenPrior
from models.spaces import BoxSpace
from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells
from models.vq3d import VQ3D
from models.wildgan import BackboneSize, WildGAN
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling
from renderers.rays import camera_rays

SIDE = 16
TERMS = Stage1Weights(opacity_entropy=0.1, code_entropy=0.1)
PLAN = RayPlan(grid_stride=2, patch=16, patch_images=2, novel_images=2)
JUDGE = LateDiscriminator(channel_base=64, channel_max=8, r1_interval=1)


@dataclass(frozen=True)
class System:
    """What is trained, and a batch for it."""

    module: TrainingModule
    batch: Batch | TokenBatch


@dataclass(frozen=True)
class Files:
    """Paths of random weights of VGG16, as torchvision publishes them, and of a stage-1 model."""

    vgg: str
    stage1: str

    @staticmethod
    def write(folder: Path) -> "Files":
        return Files(write_vgg(folder), write_stage1(folder / "stage1.ckpt"))


def write_vgg(folder: Path) -> str:
    torch.manual_seed(0)
    path = folder / VGG16_FILE
    trunk = make_layers(cfgs["D"], batch_norm=False).state_dict()
    torch.save({f"features.{name}": value for name, value in trunk.items()}, path)
    return str(path)


def image_batch() -> Batch:
    """Four images of noise with all that can be known: depth in metres, masks, rays, boxes."""
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(256, (4, 3, SIDE, SIDE), generator=rng).byte()
    depth = torch.randint(20_000, 60_000, (4, SIDE, SIDE), generator=rng).to(torch.uint16)
    mask = torch.ones(4, SIDE, SIDE, dtype=torch.uint8)
    mask[:, :4], mask[:2, :, 12:] = 0, 2
    cameras = orbit_camera(torch.arange(4.0), 0.2, 2.5, 40.0)
    rays = camera_rays(cameras, SIDE, SIDE)
    seen = PixelRays(*(x.unflatten(1, (SIDE, SIDE)) for x in (rays.origins, rays.directions)))
    known = Attributes(torch.full((4, 3), 0.6), torch.arange(4) % 3, torch.rand(4, 5))
    unit = torch.full((4,), 2e-5)
    label = torch.arange(4) % 3
    return Batch(tuple("abcd"), image, label, depth, mask, None, known, seen, unit)


def token_batch() -> TokenBatch:
    """Tokens of four images with all their conditions."""
    images = image_batch()
    assert images.attributes is not None
    tokens = torch.randint(8, (4, LAYOUT.tokens), generator=torch.Generator().manual_seed(0))
    return TokenBatch(images.keys, tokens, images.label, images.attributes)


def vq3d(vgg: str) -> Stage1:
    torch.manual_seed(0)
    model = VQ3D(
        SIDE,
        4,
        ViTSize(16, 1, 2),
        ViTSize(16, 1, 2),
        CodebookSize(8, 4),
        PlaneSize(4, 8),
        8,
        sampling=RaySampling(4, 4, "disparity"),
    )
    return Stage1(
        model,
        10_000,
        TERMS,
        PLAN,
        optimizer=OptimizerSettings(warmup=4),
        discriminator=JUDGE,
        perceptual_weights=vgg,
    )


def gina3d(vgg: str) -> Stage1:
    return Stage1(
        tiny_gina3d("metric"),
        10_000,
        replace(TERMS, alpha=0.5),
        PLAN,
        further_hidden=1.0,
        optimizer=OptimizerSettings(warmup=4, method="muon"),
        discriminator=JUDGE,
        perceptual_weights=vgg,
    )


def prior(build: Callable[..., TokenPrior], stage1: str) -> Stage2:
    torch.manual_seed(0)
    kinds = ConditionKinds(3, size=True, time_of_day=True, semantics=5)
    made = build(8, LAYOUT, SIZE, kinds, dropout=0.1, label_smoothing=0.1, checkpointing=True)
    return Stage2(made, stage1, 10_000, ConditionDropout(0.2), OptimizerSettings(warmup=4))


def gan() -> GAN:
    torch.manual_seed(0)
    model = WildGAN(
        3,
        SIDE,
        8,
        BackboneSize(8, 12, 2, 128, 16),
        PlaneSize(4, 16),
        True,
        True,
        8,
        DensityPrior(1.0),
        BoxSpace(0.6, 1.0),
        views=ViewDistribution(2.0, 40.0, perturbation_degrees=5.0),
        view_cells=ViewCells(4, 2),
        sampling=RaySampling(4, 4, "distance"),
        refiner_widths=(8, 8),
    )
    changes = AdaptiveAugmentation(("color", "translation", "cutout"))
    return GAN(
        model,
        10_000,
        DiscriminatorSettings(64, 8, r1=1.0, r1_interval=1),
        InputSettings([(0, 2.0), (10_000, 0.0)], changes, disparity=True),
        multi_view=MultiView(2, 0),
        collapse=CollapseWatch(every_images=8, scenes=6),
        density=DensitySmoothness(interval=1, points=10),
        score=ScoreSettings(images=2),
    )


def plain_gan() -> GAN:
    """Views drawn by construction and no super-resolution."""
    made = gan()
    recipe = made.generator
    torch.manual_seed(0)
    model = WildGAN(
        0,
        SIDE,
        SIDE,
        recipe.backbone,
        recipe.planes,
        field_hidden=8,
        views=ViewDistribution(2.0, 40.0),
        sampling=recipe.sampling,
    )
    return GAN(
        model,
        10_000,
        DiscriminatorSettings(64, 8, r1=1.0, r1_interval=1),
        multi_view=MultiView(3, 0),
        collapse=CollapseWatch(every_images=8, scenes=2),
        score=ScoreSettings(images=2),
    )


def classifier() -> ClassifierTraining:
    torch.manual_seed(0)
    model, settings = SmallClassifier(3, resolution=SIDE, width=8), OptimizerSettings(warmup=4)
    made = ClassifierTraining(model, 10_000, Jitter(blur=0.1), settings)
    made.class_names = lambda: ["a", "b", "c"]  # there is no datamodule
    return made


def depth() -> DepthTraining:
    torch.manual_seed(0)
    return DepthTraining(SmallDepthNetwork(64, 8), 10_000, optimizer=OptimizerSettings(warmup=4))


def depth_batch() -> Batch:
    """Images of the side that the network halves often enough."""
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(256, (4, 3, 64, 64), generator=rng).byte()
    depth = torch.randint(20_000, 60_000, (4, 64, 64), generator=rng).to(torch.uint16)
    return Batch(tuple("abcd"), image, torch.zeros(4, dtype=torch.long), depth)


SYSTEMS: dict[str, Callable[[Files], System]] = {
    "VQ3D": lambda files: System(vq3d(files.vgg), replace(image_batch(), rays=None, mask=None)),
    "GINA-3D": lambda files: System(gina3d(files.vgg), image_batch()),
    "autoregressive": lambda files: System(prior(AutoregressivePrior, files.stage1), token_batch()),
    "masked": lambda files: System(prior(MaskedPrior, files.stage1), token_batch()),
    "masked on images": lambda files: System(prior(MaskedPrior, files.stage1), image_batch()),
    "GAN": lambda files: System(gan(), image_batch()),
    "plain GAN": lambda files: System(plain_gan(), image_batch()),
    "classifier": lambda files: System(classifier(), image_batch()),
    "depth": lambda files: System(depth(), depth_batch()),
}
"""Everything that is trained, by name."""
