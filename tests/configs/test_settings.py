"""Every number that a shipped configuration can set is held to a range.

The settings are found by the signatures of what the configurations name, so that a new one is tried
as it is added: what it takes beyond its range, or of the odd values tried here, stands in
`ACCEPTED`.
"""

import inspect
import math
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import torch
import yaml

from datamodules.errors import DataError
from lightning_modules.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from lightning_modules.callbacks.length import RunClock, StopAfterImages
from lightning_modules.callbacks.progress import ImagesProgressBar
from lightning_modules.callbacks.scalars import ScalarLog
from lightning_modules.callbacks.sheets import Sheets
from lightning_modules.losses.weights import Stage1Weights

ROOT = Path(__file__).parents[2]
CALLBACKS = (
    BestCheckpoint,
    ImagesProgressBar,
    LastCheckpoint,
    RunClock,
    ScalarLog,
    Sheets,
    StopAfterImages,
)
VALUES = (-1, math.nan, math.inf, -math.inf, 0, 10**12, 2**63)
REST = {"Stage1": {"weights": Stage1Weights(perceptual=0.0)}}
"""Other arguments of a constructor: the perceptual loss needs a file."""
ACCEPTED: dict[float, str] = {
    -1: """
    CanonicalView.pitch CanonicalView.yaw DensityPrior.bias DensityPrior.slope
    ViewDistribution.pitch_degrees[0] ViewDistribution.yaw_degrees[0]
    """,
    0: """
    AdaptiveAugmentation.target AutoregressivePrior.dropout
    AutoregressivePrior.label_smoothing BoxSpace.background CanonicalView.pitch
    GINA3D.background GINA3D.mask_dropout
    CanonicalView.yaw ClassifierTraining.seed CodebookSize.commitment
    CodebookSize.dead_share CollapseWatch.low ConditionDropout.each
    ConditionDropout.everything ConditionKinds.classes ConditionKinds.semantics
    DensityPrior.bias DensityPrior.slope DensitySmoothness.weight
    DepthTraining.edge_weight DepthTraining.seed
    DiscriminatorSettings.r1 GAN.seed ImagesProgressBar.log_seconds InputSettings.blur
    InputSettings.blur[0] InputSettings.blur[1] Jitter.blur Jitter.brightness Jitter.contrast
    Jitter.saturation Jitter.shift LastCheckpoint.minutes LateDiscriminator.r1
    LateDiscriminator.train_from MaskedDecoding.choice_temperature MaskedPrior.dropout
    MaskedPrior.label_smoothing MultiView.from_images NovelViews.pitch NovelViews.yaw
    OptimizerSettings.floor OptimizerSettings.grad_clip OptimizerSettings.lr
    OptimizerSettings.warmup OptimizerSettings.weight_decay RayPlan.novel_images
    RayPlan.patch RayPlan.patch_images RaySampling.fine Stage1.further_hidden
    Stage1.novel_views_scale
    Stage1.novel_views_scale[0] Stage1.novel_views_scale[1] Stage1.seed
    Stage1Weights.adversarial Stage1Weights.adversarial[0] Stage1Weights.adversarial[1]
    Stage1Weights.alpha Stage1Weights.alpha[0] Stage1Weights.alpha[1]
    Stage1Weights.code_entropy Stage1Weights.code_entropy[0]
    Stage1Weights.code_entropy[1]
    Stage1Weights.depth Stage1Weights.depth[0] Stage1Weights.depth[1] Stage1Weights.l2
    Stage1Weights.l2[0] Stage1Weights.l2[1] Stage1Weights.logit_laplace
    Stage1Weights.logit_laplace[0] Stage1Weights.logit_laplace[1]
    Stage1Weights.novel_view Stage1Weights.novel_view[0] Stage1Weights.novel_view[1]
    Stage1Weights.opacity_entropy Stage1Weights.opacity_entropy[0]
    Stage1Weights.opacity_entropy[1]
    Stage1Weights.perceptual Stage1Weights.perceptual[0] Stage1Weights.perceptual[1]
    Stage1Weights.quantizer Stage1Weights.quantizer[0] Stage1Weights.quantizer[1]
    Stage1Weights.size Stage1Weights.size[0] Stage1Weights.size[1] Stage2.seed
    TokenSampling.guidance TokenSampling.temperature TokenSampling.top_k
    ViewCells.lr_multiplier ViewDistribution.perturbation_degrees
    ViewDistribution.pitch_degrees[0] ViewDistribution.yaw_degrees[0]
    ViewPriorWeights.entropy ViewPriorWeights.weight WildGAN.classes
    """,
    10**12: """
    AdaptiveAugmentation.images ClassifierTraining.ema_half_life
    ClassifierTraining.max_images CollapseWatch.every_images DepthTraining.ema_half_life
    DepthTraining.max_images GAN.ema_half_life
    GAN.max_images InputSettings.blur[0] LateDiscriminator.train_from
    MaskedDecoding.choice_temperature MultiView.from_images OptimizerSettings.warmup
    ScalarLog.every_images Sheets.every_images Stage1.ema_half_life Stage1.max_images
    Stage1.novel_views_scale[0] Stage1Weights.adversarial[0] Stage1Weights.alpha[0]
    Stage1Weights.code_entropy[0] Stage1Weights.depth[0]
    Stage1Weights.l2[0] Stage1Weights.logit_laplace[0] Stage1Weights.novel_view[0]
    Stage1Weights.opacity_entropy[0] Stage1Weights.perceptual[0]
    Stage1Weights.quantizer[0] Stage1Weights.size[0]
    Stage2.ema_half_life Stage2.max_images TokenSampling.guidance TokenSampling.temperature
    TokenSampling.top_k
    """,
    2**63: """
    MaskedDecoding.choice_temperature TokenSampling.guidance TokenSampling.temperature
    TokenSampling.top_k
    """,
}
"""Settings that take a value tried here, by the value: 0 is none, never or at once, 10**12 the
longest run, and a temperature or a guidance has no end."""


def named_classes(settings: Any) -> Iterator[type]:
    """Classes that a configuration names."""
    if not isinstance(settings, dict):
        return
    if "class_path" in settings:
        module, _, name = settings["class_path"].rpartition(".")
        yield getattr(import_module(module), name)
    for value in settings.values():
        yield from named_classes(value)


def configured_classes() -> set[type]:
    """What stands in the `model` of a shipped configuration, and the callbacks of every run."""
    found = set(CALLBACKS)
    for path in (ROOT / "configs").rglob("*.yaml"):
        found |= set(named_classes(yaml.safe_load(path.read_text()).get("model")))
    return found


def members(hint: Any) -> list[Any]:
    """The alternatives of an annotation, a tuple or list being one."""
    arguments = get_args(hint)
    if not arguments or get_origin(hint) in (tuple, list):
        return [hint]
    return [member for argument in arguments for member in members(argument)]


def is_number(hint: Any) -> bool:
    return hint in (int, float)


def placed(value: float, hint: Any) -> dict[str, Any]:
    """Arguments with a value in each place that an annotation has for a number, by their place."""
    found = {}
    for member in members(hint):
        parts = get_args(member)
        if is_number(member):
            found[""] = value
        elif get_origin(member) is list:
            found |= {place: [item] for place, item in placed(value, parts[0]).items()}
        elif get_origin(member) is tuple and all(map(is_number, parts)):
            for place in range(len(parts)):
                items = (value if i == place else 1 for i in range(len(parts)))
                found[f"[{place}]"] = tuple(items)
    return found


def with_groups(owners: set[type]) -> set[type]:
    """Classes with the dataclasses among their arguments, theirs, and so on."""
    found, left = set(), list(owners)
    while left:
        owner = left.pop()
        if owner not in found:
            found.add(owner)
            hints = arguments(owner).values()
            left += [kind for hint in hints for kind in members(hint) if is_dataclass(kind)]
    return found


def arguments(owner: type) -> dict[str, Any]:
    """Arguments of a constructor with their annotations."""
    hints = get_type_hints(owner if is_dataclass(owner) else owner.__init__)
    return {name: hints[name] for name in inspect.signature(owner).parameters}


def numbers() -> dict[str, tuple[type, str, str]]:
    """Every place for a number: what it is an argument of, the argument, the place in it."""
    owners = sorted(with_groups(configured_classes()), key=lambda owner: owner.__name__)
    return {
        f"{owner.__name__}.{name}{place}": (owner, name, place)
        for owner in owners
        for name, hint in arguments(owner).items()
        for place in placed(0, hint)
    }


@cache
def needed(owner: type) -> dict[str, Any]:
    """What a constructor can't be called without."""
    found = dict(REST.get(owner.__name__, {}))
    parameters = inspect.signature(owner).parameters
    for name, hint in arguments(owner).items():
        if parameters[name].default is not inspect.Parameter.empty:
            continue
        plain: dict[Any, Any] = {int: 4, str: "some.ckpt"}
        found[name] = plain[hint] if hint in plain else build(concrete(hint))
    return found


def concrete(kind: type) -> type:
    """A class that configurations name for an abstract one."""
    found = [one for one in configured_classes() if issubclass(one, kind)]
    return min(found, key=lambda one: one.__name__)


def build(owner: type, **changed: Any) -> Any:
    with torch.device("meta"):
        return owner(**(needed(owner) | changed))


NUMBERS = numbers()


def test_the_settings_are_found() -> None:
    found = NUMBERS.keys()
    assert {"OptimizerSettings.lr", "OptimizerSettings.betas[1]", "Stage1Weights.depth[0]"} <= found
    assert {"VQ3D.resolution", "ViTSize.heads", "ViewCells.yaws", "Sheets.images"} <= found
    assert {"GAN.raw_side", "WildGAN.refiner_widths[0]", "Stage2.max_images"} <= found
    assert len(found) > 150


@pytest.mark.parametrize("setting", NUMBERS)
def test_a_number_is_accepted_on_purpose_or_refused_by_name(setting: str) -> None:
    owner, name, place = NUMBERS[setting]
    # A missing check shows at the first values, before one that would take memory or time.
    for value in VALUES:
        changed = {name: placed(value, arguments(owner)[name])[place]}
        if setting in ACCEPTED.get(value, "").split():
            build(owner, **changed)
            continue
        with pytest.raises((DataError, ValueError), match=rf"\b{name}(: .*)? is .*\.$"):
            build(owner, **changed)


def test_what_is_accepted_is_a_setting() -> None:
    assert set(" ".join(ACCEPTED.values()).split()) <= NUMBERS.keys()
