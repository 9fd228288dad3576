"""Factorised, l2-normalised vector quantiser with commitment loss and dead-code revival."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from models.limits import FACTORS, MOST_CODES, WIDTHS
from renderers.ranges import check_number

STATISTICS_SHARE = 0.02
"""Share of one step's mean and spread in their running averages."""

SMALLEST_SPREAD = 1e-6

SMALLEST_SINE = 1e-3
"""Of the angle between codes that `slerp` treats as different and not opposite."""


@dataclass(frozen=True)
class CodebookSize:
    """Number of codes K, width of the look-up space, and when a code counts as dead.

    A code is dead once its usage, an average over about `memory` tokens per code, falls below
    `dead_share` of a uniform share.

    Raises ValueError for a number outside its range.
    """

    codes: int = 8192
    width: int = 32
    commitment: float = 0.25
    dead_share: float = 0.05
    memory: float = 4.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("codes", self.codes, 1, MOST_CODES)
        check_number("width", self.width, *WIDTHS)
        check_number("commitment", self.commitment, *FACTORS)
        check_number("dead_share", self.dead_share, 0, 1)
        check_number("memory", self.memory, 0.001, 1_000_000)


@dataclass(frozen=True)
class Quantized:
    """Result of quantising a batch of token vectors.

    projected (B, T, c) float32 in the look-up space before normalisation; tokens (B, T) int64 code
    indices; vectors (B, T, D) what the decoder reads, with
    straight-through gradients; latents (B, T, c) float32 unit vectors before the look-up;
    loss () codebook + commitment term.
    """

    projected: Tensor
    tokens: Tensor
    vectors: Tensor
    latents: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    """Snap token vectors to the nearest of K unit codes in a low-dimensional space.

    Factorised and l2-normalised as in ViT-VQGAN (arXiv 2110.04627, section 3.2): the look-up runs
    in `width` dimensions on the unit sphere, where the nearest code is the one of largest cosine.

    Ours: the projection is standardised by running statistics before it is normalised. Else the
    outputs of a young encoder, all nearly alike, fill a narrow cone of the sphere, codes and
    commitment loss keep them there, and the decoder sees almost constant vectors.

    Args:
        width_in, width_out: D of what is quantised, and of what the decoder reads.
        size: of the codebook.
        places: T of statistics of each token's own; 1 for statistics of all together. Queries of a
            young network tell their places and little of the image: what all images share in a
            place is taken out.
    """

    usage: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, width_in: int, width_out: int, size: CodebookSize, places: int = 1) -> None:
        super().__init__()
        shape = (size.width,) if places == 1 else (places, size.width)
        self.size = size
        self.project_in = nn.Linear(width_in, size.width)
        self.project_out = nn.Linear(size.width, width_out)
        self.codebook = nn.Parameter(F.normalize(torch.randn(size.codes, size.width), dim=-1))
        self.register_buffer("usage", torch.ones(size.codes))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    def forward(self, x: Tensor) -> Quantized:
        """Quantise encoder outputs (B, T, D); see `Quantized`."""
        projected = self.project_in(x).float()
        latents = self._to_sphere(projected)  # (B, T, c)
        codes = F.normalize(self.codebook.float(), dim=-1)  # (K, c)
        tokens = nearest_codes(latents, codes)
        chosen = F.embedding(tokens, codes)
        through = latents + (chosen - latents).detach()
        return Quantized(
            projected=projected,
            tokens=tokens,
            vectors=self.project_out(through),
            latents=latents,
            loss=quantizer_loss(latents, chosen, self.size.commitment),
        )

    @torch.no_grad()
    def calibrate(self, x: Tensor, rng: torch.Generator) -> None:
        """Take the statistics of untrained encoder outputs (B, T, D) and seat the codes on them."""
        # Autocast would cache its cast of the weights, made under no_grad, for the training step.
        with torch.autocast(x.device.type, enabled=False):
            projected = self.project_in(x.float())
        spread, mean = torch.std_mean(self._by_place(projected), 0, correction=0)
        self.mean.copy_(_broadcast(mean))
        self.spread.copy_(_broadcast(spread.clamp(min=SMALLEST_SPREAD)))
        self.usage.zero_()
        self.revive(self._to_sphere(projected), rng)

    def _by_place(self, projected: Tensor) -> Tensor:
        """Vectors (B, T, c) as samples of the statistics, (N, c) or (B, T, c)."""
        return projected.flatten(0, 1) if self.mean.ndim == 1 else projected

    def _to_sphere(self, projected: Tensor) -> Tensor:
        return F.normalize((projected - self.mean) / self.spread, dim=-1)

    def lookup(self, tokens: Tensor) -> Tensor:
        """Decoder vectors (B, T, D) of given code indices (B, T).

        >>> quantizer = VectorQuantizer(8, 6, CodebookSize(codes=16, width=4))
        >>> quantized = quantizer(torch.randn(2, 3, 8))
        >>> torch.allclose(quantizer.lookup(quantized.tokens), quantized.vectors, atol=1e-5)
        True
        """
        codes = F.normalize(self.codebook.float(), dim=-1)
        return self.project_out(F.embedding(tokens, codes))

    def blend(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """Decoder vectors (B, T, D) between two token grids (B, T), `share` of the way from a to b.

        Each position moves along the arc between its two unit codes; 0 and 1 give exactly what
        `lookup` gives for a and b.
        """
        with torch.autocast(a.device.type, enabled=False):
            codes = F.normalize(self.codebook.float(), dim=-1)
            arc = slerp(F.embedding(a, codes), F.embedding(b, codes), share)
            return self.project_out(arc)

    @torch.no_grad()
    def observe(self, quantized: Quantized) -> None:
        """Move usage, mean and spread towards those of this step, taken over all ranks; what is not
        finite in it moves nothing.

        `usage` is 1 for a code that gets its uniform share K-th of the tokens.
        """
        # From the running mean: it is near, so float32 does for the squares.
        apart = self._by_place(quantized.projected) - self.mean
        sums = [torch.full_like(apart[0], len(apart)), apart.sum(0), apart.square().sum(0)]
        count, total, squares = _sum_over_ranks(torch.stack(sums))  # (c,) or (T, c) each
        step = total / count
        spread = (squares / count - step.square()).clamp(min=SMALLEST_SPREAD**2).sqrt()
        usable = step.isfinite() & spread.isfinite()
        self.mean.add_(torch.where(usable, step, 0.0), alpha=STATISTICS_SHARE)
        self.spread.lerp_(torch.where(usable, spread, self.spread), STATISTICS_SHARE)
        tokens = quantized.tokens.flatten()
        ones = self.usage.new_ones(len(tokens))
        counts = _sum_over_ranks(torch.zeros_like(self.usage).scatter_add_(0, tokens, ones))
        tokens_per_code = counts.sum() / self.size.codes
        keep = torch.exp(-tokens_per_code / self.size.memory)
        self.usage.lerp_(counts / tokens_per_code, 1 - keep)

    @torch.no_grad()
    def revive(self, latents: Tensor, rng: torch.Generator) -> Tensor:
        """Move dead codes onto randomly drawn latents (B, T, c), those that are finite; returns
        which, (K,) bool.

        `rng` is in the same state on every rank and rank 0's latents are used everywhere, so the
        codebook stays equal across ranks.
        """
        candidates = latents.detach().flatten(0, 1)
        draw = torch.randint(len(candidates), (self.size.codes,), generator=rng, device=rng.device)
        replacement = candidates[draw.to(candidates.device)].to(self.codebook.dtype)
        replacement = _broadcast(replacement)
        dead = (self.usage < self.size.dead_share) & replacement.isfinite().all(1)  # (K,)
        self.codebook.copy_(torch.where(dead[:, None], replacement, self.codebook))
        self.usage.masked_fill_(dead, 1.0)
        return dead


def _broadcast(values: Tensor) -> Tensor:
    """The values of rank 0, on every rank."""
    if dist.is_available() and dist.is_initialized():
        dist.broadcast(values, src=0)
    return values


def _sum_over_ranks(values: Tensor) -> Tensor:
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values


def nearest_codes(latents: Tensor, codes: Tensor) -> Tensor:
    """Indices (B, T) of the codes (K, c) with the largest cosine to unit latents (B, T, c).

    Compared in float32 under autocast too: bfloat16 makes ties of the best few among many codes.

    >>> codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> nearest_codes(torch.tensor([[[0.6, 0.8], [-0.8, -0.6]]]), codes).tolist()
    [[1, 2]]
    """
    with torch.autocast(latents.device.type, enabled=False):
        return (latents @ codes.T).argmax(dim=-1)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The unit vectors (..., c) `share` of the way along the arcs from unit vectors a to b.

    Opposite ones, which no single arc connects, change over in the middle.

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    tensor([0.7071, 0.7071])
    """
    angle = torch.acos((a * b).sum(-1, keepdim=True).clamp(-1, 1))
    sine = angle.sin()
    curved = ((1 - share) * angle).sin() / sine * a + (share * angle).sin() / sine * b
    straight = torch.lerp(a, b, share)
    nearer = a if share < 0.5 else b
    ends = torch.where(angle < 1, straight, nearer)  # where the division is not stable
    return torch.where(sine > SMALLEST_SINE, curved, ends)


def quantizer_loss(latents: Tensor, chosen: Tensor, commitment: float) -> Tensor:
    """Codebook and commitment loss, mean over elements of squared differences on the unit sphere.

        L = mean (chosen - sg(latents))^2 + commitment * mean (sg(chosen) - latents)^2

    Args:
        latents, chosen: (B, T, c) unit vectors.
        commitment: weight of the second term (0.25 in VQ-VAE, arXiv 1711.00937, equation 3).

    >>> latents, chosen = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[1.0, 0.0]]])
    >>> quantizer_loss(latents, chosen, commitment=0.25).item()
    1.25
    """
    codebook = F.mse_loss(chosen, latents.detach())
    return codebook + commitment * F.mse_loss(latents, chosen.detach())


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of code counts (K,): K when all are used alike, 1 when one is.

    >>> [round(perplexity(torch.tensor(c)).item(), 3) for c in ([5, 5, 5, 5], [5, 5, 0, 0])]
    [4.0, 2.0]
    """
    share = counts.float() / counts.sum().clamp(min=1)
    return torch.exp(-torch.special.xlogy(share, share).sum())
