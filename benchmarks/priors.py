"""Priors: autoregressive sampling with a cache, masked decoding, and the training step.

Setting: a transformer of 12 blocks x 512 with 8 heads, 1,024 codes. Storage is bfloat16; products
of many rows run in the type that is fast here.

`maskgit_to_cached` compares two bounds. Masked decoding passes over all tokens in every round: 1.76
TFLOP, 13 times the cached loop's, at the rate of matrix products. The loop reads 96 MB for every
token: 3.4 s at 21.5 GB/s. So at the loop's floor both take as long where products run at 0.52
TFLOP/s, and masked decoding is 3 times as fast from 1.6 TFLOP/s on.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Rates, Result, Side, gemm_size, interleaved, medians, ratio, result
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.masked import MaskedDecoding, MaskedPrior
from models.priors.sampling import SampleNoise, TokenSampling
from models.priors.token_prior import TokenPrior
from renderers.cpu.precision import bf16_is_fast

SIZE = ViTSize(512, 12, 8)
CODES, CLASSES = 1024, 12
LAYOUT, PLANES = TokenLayout(32, 32), TokenLayout(16, 16, 3)
STEPS = 12
BATCH, MASKED_BATCH = 8, 2
POSITIONS = 8
"""Lengths at which the uncached loop is timed; the mean of their times stands for all steps."""
COPIED = 2**28
"""Bytes of the copy that measures the memory."""
PRODUCTS = torch.bfloat16 if bf16_is_fast() else torch.float32
PRODUCTS_NAME = str(PRODUCTS).removeprefix("torch.")


@dataclass(frozen=True)
class Problem:
    """A prior with random weights, and what it is asked for."""

    prior: TokenPrior
    tokens: Tensor
    conditions: Conditions

    @staticmethod
    def of(prior: TokenPrior, batch: int) -> Problem:
        """Random tokens and labels for a prior."""
        rng = torch.Generator().manual_seed(0)
        shape = (batch, prior.layout.tokens)
        tokens = torch.randint(CODES, shape, generator=rng)
        label = torch.randint(CLASSES, shape[:1], generator=rng)
        return Problem(prior.eval(), tokens, Conditions.of(label))

    def generate(self) -> None:
        """Draw all tokens."""
        noise = SampleNoise(range(len(self.tokens)))
        self.prior.generate(self.conditions, noise, TokenSampling(), dtype=torch.bfloat16)

    def train(self) -> None:
        """Forward and backward pass of a training step."""
        self.prior.zero_grad(set_to_none=True)
        with torch.autocast("cpu", PRODUCTS, enabled=torch.float32 != PRODUCTS):
            rng = torch.Generator().manual_seed(0)
            loss = self.prior.training_loss(self.tokens, self.conditions, rng).loss
        loss.backward()

    def uncached_step(self, length: int, dtype: torch.dtype) -> None:
        """One step of the loop without a cache: the transformer over all tokens so far."""
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            x = self.prior.embedded(self.tokens)[:, :length]
            self.prior.head(self.prior.transformer(x)[:, -1])

    def step_flops(self) -> float:
        """Multiply-adds x 2 of a training step: forward once, backward twice that; attention counts
        the tokens that a token sees."""
        batch, tokens = self.tokens.shape
        per_block = 2 * 12 * SIZE.width**2 + 4 * SIZE.width * (tokens + 1) / 2
        return 3.0 * batch * tokens * (SIZE.depth * per_block + 2 * SIZE.width * CODES)

    def decoding_flops(self) -> float:
        """Multiply-adds x 2 of masked decoding: every step passes over all tokens."""
        batch, tokens = self.tokens.shape
        seen = tokens + self.prior.kinds.tokens
        per_block = 2 * 12 * SIZE.width**2 + 4 * SIZE.width * seen
        head = 2 * SIZE.width * CODES * tokens
        return float(STEPS * batch * (seen * SIZE.depth * per_block + head))

    def floor_bytes(self) -> int:
        """Bytes of the weights that a sampling step reads, and of the filled part of the cache,
        half of it in the mean over the steps, in bfloat16."""
        batch, tokens = self.tokens.shape
        layers = [*self.prior.transformer.parameters(), *self.prior.head.parameters()]
        cache = SIZE.depth * batch * tokens * SIZE.width
        return 2 * (sum(p.numel() for p in layers) + cache)


def autoregressive(layout: TokenLayout, batch: int) -> Problem:
    """The autoregressive prior."""
    kinds = ConditionKinds(CLASSES)
    return Problem.of(AutoregressivePrior(CODES, layout, SIZE, kinds), batch)


def masked() -> Problem:
    """The masked prior over three planes."""
    decoding = MaskedDecoding(steps=STEPS)
    kinds = ConditionKinds(CLASSES)
    return Problem.of(MaskedPrior(CODES, PLANES, SIZE, kinds, decoding=decoding), MASKED_BATCH)


def lengths(tokens: int) -> list[int]:
    """POSITIONS lengths in the middle of equal parts of a sequence."""
    return [round(tokens * (k + 0.5) / POSITIONS) for k in range(POSITIONS)]


def uncached_loop(problem: Problem, dtype: torch.dtype) -> dict[str, Side]:
    """The sides that time single steps of the loop without a cache."""
    total = problem.prior.layout.tokens
    return {f"at {n}": partial(problem.uncached_step, n, dtype) for n in lengths(total)}


def loop_seconds(times: dict[str, list[float]], tokens: int) -> list[float]:
    """Seconds of the whole uncached loop in every round, from its timed steps."""
    steps = [times[f"at {n}"] for n in lengths(tokens)]
    return [tokens * statistics.mean(at_once) for at_once in zip(*steps, strict=True)]


def run(rates: Rates, rounds: int) -> list[Result]:
    """Measure everything; `rates` are printed beside the figures."""
    return [*_cached(rates, rounds), *_masked(rates, rounds), *_training(rates, rounds)]


def _cached(rates: Rates, rounds: int) -> list[Result]:
    problem, tokens = autoregressive(LAYOUT, BATCH), LAYOUT.tokens
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.zeros_like(source)
    sides: dict[str, Side] = {
        "cached": problem.generate,
        "copy": lambda: target.copy_(source),
        **uncached_loop(problem, torch.float32),
    }
    times = interleaved(sides, rounds)
    times["loop"] = loop_seconds(times, tokens)
    median = medians(times)
    bandwidth = 2 * COPIED / median["copy"]  # read and written
    floor, step = problem.floor_bytes() / bandwidth, median["cached"] / tokens
    cached, loop = "cache, bfloat16 storage", f"no cache, float32, from {POSITIONS} positions"
    rate = BATCH * tokens / median["cached"]
    return [
        result("ar_cache_speedup", ratio(times, "loop", "cached"), "x", (loop, cached), rates),
        result("ar_floor_ratio", step / floor, "x", (cached, "reading it all once"), rates),
        result("ar_step", step * 1e3, "ms", (cached, f"batch {BATCH}, mean"), rates),
        result("ar_tokens", rate, "tokens/s", (cached, ""), rates),
        result("copy_bandwidth", bandwidth / 1e9, "GB/s", ("read and written", ""), rates),
    ]


def _masked(rates: Rates, rounds: int) -> list[Result]:
    problem, tokens = masked(), PLANES.tokens
    loop = autoregressive(PLANES, MASKED_BATCH)
    sides: dict[str, Side] = {"masked": problem.generate, "cached": loop.generate}
    times = interleaved(sides | uncached_loop(loop, PRODUCTS), rounds)
    times["loop"] = loop_seconds(times, tokens)
    fewer = tokens * (tokens + 1) / 2 / (STEPS * tokens)
    ours = f"masked, {STEPS} steps, {PRODUCTS_NAME}"
    plain, cached = "token by token, no cache", "token by token, cache"
    rate = rates.bf16 if torch.bfloat16 == PRODUCTS else rates.f32
    share = problem.decoding_flops() / medians(times)["masked"] / 1e9 / rate
    return [
        result("maskgit_speedup", ratio(times, "loop", "masked"), "x", (plain, ours), rates),
        result("maskgit_fewer_tokens", fewer, "x", (plain, ours), rates),
        result("maskgit_to_cached", ratio(times, "cached", "masked"), "x", (cached, ours), rates),
        result("maskgit_gemm_share", share, "of GEMM", (ours, f"{gemm_size(PRODUCTS)}^3"), rates),
    ]


def _training(rates: Rates, rounds: int) -> list[Result]:
    problem = autoregressive(LAYOUT, BATCH)
    median = medians(interleaved({"step": problem.train}, rounds))["step"]
    rate = rates.bf16 if torch.bfloat16 == PRODUCTS else rates.f32
    share = problem.step_flops() / median / 1e9 / rate
    sides = (f"forward and backward, batch {BATCH}", f"{gemm_size(PRODUCTS)}^3")
    tokens = BATCH * LAYOUT.tokens / median
    return [
        result("prior_gemm_share", share, f"of {PRODUCTS_NAME} GEMM", sides, rates),
        result("prior_training", tokens, "tokens/s", (sides[0], ""), rates),
    ]
