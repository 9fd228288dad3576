"""The renderer against an eager float32 reference: forward, training step, memory, small batches.

Ours stores planes and features in bfloat16; its matrix products run in the type that is fast here.
Setting: batch 2, 64 x 64 rays, 48 + 48 samples, planes 3 x 32 x 256 x 256, MLP 32-64-33 with a
softplus hidden layer. Both sides get the same rays, noise, planes and weights; the reference is the
one the tests compare to.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.nn.functional import interpolate, softplus

from benchmarks.harness import (
    Rates,
    Result,
    Side,
    gemm_size,
    interleaved,
    medians,
    peak_bytes,
    ratio,
    result,
)
from renderers.bounds import Bounds, box_bounds
from renderers.cameras import orbit_camera
from renderers.cpu.precision import bf16_is_fast
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, camera_rays
from renderers.renderer import render_rays
from renderers.triplane_mlp import MLPWeights, triplane_mlp

HALF_EXTENT = 0.5
NOISE_SEED = 1
PRODUCTS = torch.bfloat16 if bf16_is_fast() else torch.float32
PRODUCTS_NAME = str(PRODUCTS).removeprefix("torch.")
OURS = f"wild3d, {PRODUCTS_NAME} products"
REFERENCE = "grid_sample, float32"


@dataclass(frozen=True)
class Setting:
    """Sizes; `side` squared rays an image, `samples` coarse and as many fine."""

    batch: int = 2
    side: int = 64
    samples: int = 48
    channels: int = 32
    plane: int = 256
    hidden: int = 64
    features: int = 32

    def mlp_flops(self) -> float:
        """Return the multiply-adds x 2 of one forward pass of the MLP over all samples."""
        points = self.batch * self.side**2 * 2 * self.samples
        return 2.0 * points * self.hidden * (self.channels + 1 + self.features)


LARGE = Setting()
SMALL = Setting(batch=32, side=16, samples=16, channels=16, plane=64)


@dataclass(frozen=True)
class Scene:
    """One problem: float32 planes (B, 3, C, H, W), MLP weights, rays, gradient of the result."""

    planes: Tensor
    weights: list[Tensor]
    rays: Rays
    bounds: Bounds
    grad: Tensor


def load_reference() -> ModuleType:
    """Import the reference renderer that lives with the tests."""
    path = Path(__file__).parents[1] / "tests" / "renderers" / "reference.py"
    spec = importlib.util.spec_from_file_location("wild3d_reference", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"the reference renderer is missing: {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_scene(setting: Setting) -> Scene:
    """Return smooth random planes, seen from the front by cameras on an arc."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng)

    batch, size = setting.batch, setting.plane
    coarse = normal(batch * 3, setting.channels, size // 8, size // 8)
    planes = interpolate(coarse, (size, size), mode="bilinear").unflatten(0, (batch, 3))
    weights = [
        normal(setting.hidden, setting.channels) * 0.3,
        normal(setting.hidden) * 0.1,
        normal(1 + setting.features, setting.hidden) * 0.3,
        normal(1 + setting.features) * 0.1,
    ]
    camera = orbit_camera(torch.linspace(-0.5, 0.5, batch), 0.2, 2.7, 18.0)
    rays = camera_rays(camera, setting.side, setting.side)
    grad = normal(batch, setting.side**2, setting.features)
    return Scene(planes, weights, rays, box_bounds(rays, HALF_EXTENT), grad)


def _step(rgb: Tensor, leaves: list[Tensor], grad: Tensor, backward: bool) -> list[Tensor]:
    if not backward:
        return [rgb]
    return [rgb, *torch.autograd.grad((rgb * grad).sum(), leaves)]


def ours(setting: Setting, backward: bool) -> Side:
    """Return our side: channels-last bfloat16 planes, one call renders (and takes gradients)."""
    scene = make_scene(setting)
    table = scene.planes.bfloat16().permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    leaves = [table.requires_grad_(), *(w.clone().requires_grad_() for w in scene.weights)]
    sampling = RaySampling(setting.samples, setting.samples)

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        weights = MLPWeights.from_flat(leaves[1:])
        logits, features = triplane_mlp(leaves[0], points / HALF_EXTENT, weights, "sigmoid")
        return softplus(logits - 1.0), features

    def run() -> list[Tensor]:
        rng = torch.Generator().manual_seed(NOISE_SEED)
        with torch.set_grad_enabled(backward):
            rendering = render_rays(field, scene.rays, sampling, scene.bounds, rng=rng)
            return _step(rendering.rgb, leaves, scene.grad, backward)

    return run


def theirs(setting: Setting, backward: bool) -> Side:
    """Return the reference's side: float32 planes in (C, H, W) layout, as in EG3D."""
    reference, scene = load_reference(), make_scene(setting)
    leaves = [x.clone().requires_grad_() for x in (scene.planes, *scene.weights)]
    shape = (*scene.bounds.near.shape, setting.samples)
    origins = scene.rays.origins.contiguous()

    def run() -> list[Tensor]:
        rng = torch.Generator().manual_seed(NOISE_SEED)
        noise = [torch.rand(shape, generator=rng) for _ in range(2)]
        near, far = scene.bounds.near, scene.bounds.far
        problem = reference.Problem(origins, scene.rays.directions, near, far, *noise, HALF_EXTENT)
        with torch.set_grad_enabled(backward):
            rgb, _, _ = reference.render(leaves[0], reference.Head(*leaves[1:]), problem)
            return _step(rgb, leaves, scene.grad, backward)

    return run


def differences(setting: Setting) -> list[float]:
    """Return the relative L2 differences between the sides: rgb, planes, the four MLP gradients."""
    pairs = zip(ours(setting, True)(), theirs(setting, True)(), strict=True)  # type: ignore[call-overload]
    return [((a.float() - b).norm() / b.norm()).item() for a, b in pairs]


def run(rates: Rates, rounds: int) -> list[Result]:
    """Measure everything; `rates` are printed beside the figures."""
    results: list[Result] = []
    for setting, suffix in ((LARGE, ""), (SMALL, "_small")):
        results += _speed(setting, suffix, rates, rounds)
    for name, side in (("ours", ours), ("reference", theirs)):
        peak = peak_bytes(partial(side, LARGE, True)) / 2**20
        label = OURS if name == "ours" else REFERENCE
        results.append(result(f"renderer_peak_{name}", peak, "MiB", (label, "inputs"), rates))
    error = differences(LARGE)[0]
    return [
        *results,
        result("renderer_rgb_difference", error, "relative", (OURS, REFERENCE), rates),
    ]


def _speed(setting: Setting, suffix: str, rates: Rates, rounds: int) -> list[Result]:
    sides: dict[str, Side] = {
        "forward": ours(setting, False),
        "forward_reference": theirs(setting, False),
        "step": ours(setting, True),
        "step_reference": theirs(setting, True),
    }
    times = interleaved(sides, rounds)
    median, pair = medians(times), (OURS, REFERENCE)
    rays = setting.batch * setting.side**2
    rate = rates.bf16 if bf16_is_fast() else rates.f32
    share = 3.0 * setting.mlp_flops() / median["step"] / 1e9 / rate
    gemm, unit = (OURS, f"{gemm_size(PRODUCTS)}^3"), f"of {PRODUCTS_NAME} GEMM"
    forward, step = (ratio(times, f"{name}_reference", name) for name in ("forward", "step"))
    return [
        result(f"renderer_forward_speedup{suffix}", forward, "x", pair, rates),
        result(f"renderer_step_speedup{suffix}", step, "x", pair, rates),
        result(f"renderer_gemm_share{suffix}", share, unit, gemm, rates),
        result(f"renderer_step{suffix}", median["step"] * 1e3, "ms", (OURS, ""), rates),
        result(f"renderer_rays{suffix}", rays / median["step"], "rays/s", (OURS, "step"), rates),
        result(
            f"renderer_rays_reference{suffix}",
            rays / median["step_reference"],
            "rays/s",
            (REFERENCE, "step"),
            rates,
        ),
    ]
