"""The GAN's networks: matrix products' share of a training step of the backbone and discriminator.

Backbone: mapping and synthesis of 96 x 256 x 256 planes, EG3D's size. The nominal multiplications
are those of the published StyleGAN2: a transposed convolution counts at its small resolution, the
filters, styles and activations count nothing, the backward pass counts twice the forward one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.harness import (
    Rates,
    Result,
    Side,
    gemm_rates,
    gemm_sides,
    gemm_size,
    interleaved,
    medians,
    result,
)
from models.blocks.discriminators import Discriminator
from models.blocks.mapping import MappingNetwork
from models.blocks.synthesis import Synthesis, SynthesisSize
from renderers.cpu.precision import bf16_is_fast

PRODUCTS = torch.bfloat16 if bf16_is_fast() else torch.float32
PRODUCTS_NAME = str(PRODUCTS).removeprefix("torch.")
BATCH, JUDGED = 4, 8
LATENT, CLASSES = 512, 100
IMAGE = 128
"""Side of the discriminator's input."""


class Backbone(nn.Module):
    """Latents and labels to planes."""

    def __init__(self, size: SynthesisSize) -> None:
        super().__init__()
        self.size = size
        self.mapping = MappingNetwork(LATENT, CLASSES, LATENT)
        self.synthesis = Synthesis(size, LATENT)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        planes: Tensor = self.synthesis(self.mapping(z, labels))
        return planes


def backbone_flops(size: SynthesisSize, batch: int) -> float:
    """Multiply-adds x 2 of a forward pass in convolutions."""
    widths, total = size.widths(), 0.0
    for level, width in enumerate(widths):
        pixels = (4 << level) ** 2
        total += pixels * width * (9 * width + size.channels)
        if level:
            total += pixels / 4 * 9 * widths[level - 1] * width
    return 2.0 * batch * total


def discriminator_flops(judge: Discriminator, images: Tensor) -> float:
    """Multiply-adds x 2 of a forward pass in convolutions and linear layers, by counting them."""
    total = 0.0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        taps = layer.weight[0].numel() if isinstance(layer.weight, Tensor) else 0
        total += 2.0 * output.numel() * taps

    layers = [layer for layer in judge.modules() if hasattr(layer, "weight")]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        judge(images)
    for handle in handles:
        handle.remove()
    return total


@dataclass(frozen=True)
class Step:
    """Forward and backward pass of a network, and what it multiplies."""

    name: str
    network: nn.Module
    inputs: tuple[Tensor, ...]
    flops: float
    penalty: bool = False

    def __call__(self) -> None:
        self.network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", PRODUCTS, enabled=torch.float32 != PRODUCTS):
            out = self.network(*self.inputs)
        if self.penalty:
            (slope,) = torch.autograd.grad(out.sum(), self.inputs, create_graph=True)
            out = out.mean() + slope.square().sum()
        out.float().sum().backward()


def backbone(size: SynthesisSize = SynthesisSize(), batch: int = BATCH) -> Step:
    """The backbone on random latents."""
    torch.manual_seed(0)
    inputs = (torch.randn(batch, LATENT), torch.randint(CLASSES, (batch,)))
    return Step("backbone", Backbone(size), inputs, 3 * backbone_flops(size, batch))


def judging(penalty: bool) -> Step:
    """The discriminator on random images; `penalty` adds R1's double backward."""
    torch.manual_seed(0)
    judge = Discriminator(3, IMAGE).to(memory_format=torch.channels_last)
    images = torch.randn(JUDGED, 3, IMAGE, IMAGE).to(memory_format=torch.channels_last)
    images.requires_grad_(penalty)
    name = "discriminator_r1" if penalty else "discriminator"
    # R1 adds a gradient of the input, and the forward and backward pass of that.
    factor = 6.0 if penalty else 3.0
    return Step(name, judge, (images,), factor * discriminator_flops(judge, images), penalty)


STEPS: list[Callable[[], Step]] = [backbone, lambda: judging(False), lambda: judging(True)]


def run(rates: Rates, rounds: int) -> list[Result]:
    """Measure everything, each step between products of its own, whose rates go with its figures:
    a step takes seconds, in which the rate of a shared machine moves away from `rates`.
    """
    return [entry for make in STEPS for entry in _shares(make(), rounds)]


def _shares(step: Step, rounds: int) -> list[Result]:
    sides: dict[str, Side] = {**gemm_sides(), "step": step}
    times = interleaved(sides, rounds)
    seconds, rates = medians(times)["step"], gemm_rates(times)
    batch = len(step.inputs[0])
    label = f"forward and backward, batch {batch}, {PRODUCTS_NAME}"
    rate = step.flops / seconds / 1e9  # GFLOP/s
    shares = {"bfloat16": rate / rates.bf16, "float32": rate / rates.f32}
    return [
        *(
            result(
                f"{step.name}_gemm_share" + ("" if name == PRODUCTS_NAME else f"_{name}"),
                share,
                f"of {name} GEMM",
                (label, f"{gemm_size(getattr(torch, name))}^3"),
                rates,
            )
            for name, share in shares.items()
        ),
        result(f"{step.name}_step", seconds * 1e3, "ms", (label, ""), rates),
    ]
