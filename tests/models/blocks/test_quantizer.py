import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor

from models.blocks.quantizer import (
    CodebookSize,
    Quantized,
    VectorQuantizer,
    nearest_codes,
    perplexity,
    quantizer_loss,
    slerp,
)


def make(codes: int = 4, width: int = 2, width_in: int = 2, width_out: int = 3) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(width_in, width_out, CodebookSize(codes, width))


def transparent(codes: list[list[float]]) -> VectorQuantizer:
    """A 2-d quantiser with these codes whose input projection is the identity."""
    quantizer = make(codes=len(codes))
    with torch.no_grad():
        quantizer.project_in.weight.copy_(torch.eye(2))
        quantizer.project_in.bias.zero_()
        quantizer.codebook.copy_(torch.tensor(codes))
    return quantizer


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nearest_code_is_that_of_the_largest_cosine_whatever_the_lengths() -> None:
    # To (0.6, 0.8): cosine 0.6 with code 0, 0.14 / 0.1414 = 0.99 with code 1, -0.6 with code 2;
    # the inner product 6 with code 0 is far above the 0.14 with code 1.
    quantizer = transparent([[10.0, 0.0], [0.1, 0.1], [-1.0, 0.0]])
    x = torch.tensor([[[0.6, 0.8], [60.0, 80.0], [3.0, 0.1], [-0.01, 0.001]]])
    assert quantizer(x).tokens.tolist() == [[1, 1, 0, 2]]


def test_autocast_does_not_change_the_tokens() -> None:
    latents = F.normalize(torch.randn(1, 512, 32, generator=noise(1)), dim=-1)
    codes = F.normalize(torch.randn(4096, 32, generator=noise(2)), dim=-1)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = nearest_codes(latents, codes)
    assert torch.equal(tokens, (latents.double() @ codes.double().T).argmax(-1))


def test_loss_by_hand_and_which_side_each_term_moves() -> None:
    # |(1,0) - (0,1)|^2 = 2 and |(.6,.8) - (1,0)|^2 = .16 + .64 = .8: mean 1.4, and a quarter of
    # it for commitment. Mean over 2 tokens: d/d chosen = 2 (chosen - latents) / 2, d/d latents =
    # 0.25 * 2 (latents - chosen) / 2.
    latents = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]], requires_grad=True)
    chosen = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], requires_grad=True)
    loss = quantizer_loss(latents, chosen, commitment=0.25)
    assert loss.item() == pytest.approx(0.875)
    loss.backward()
    torch.testing.assert_close(chosen.grad, 0.5 * (chosen - latents).detach())
    torch.testing.assert_close(latents.grad, 0.125 * (latents - chosen).detach())


def test_forward_reports_the_loss_of_its_own_latents() -> None:
    # 45 degrees between (1, 1) and the code (1, 0): mean square 1 - sqrt(1/2).
    quantizer = transparent([[1.0, 0.0], [-1.0, 0.0]])
    quantized = quantizer(torch.tensor([[[7.0, 7.0]]]))
    assert quantized.loss.item() == pytest.approx(1.25 * (1 - math.sqrt(0.5)), rel=1e-5)
    torch.testing.assert_close(quantized.latents, torch.full((1, 1, 2), math.sqrt(0.5)))


def test_gradient_passes_as_if_nothing_had_been_quantised() -> None:
    quantizer = make(codes=8, width=4, width_in=5)
    x = torch.randn(2, 3, 5, generator=noise(), requires_grad=True)
    pull = torch.randn(2, 3, 3, generator=noise(1))
    (quantizer(x).vectors * pull).sum().backward()
    through = x.grad
    assert quantizer.codebook.grad is None
    smooth = quantizer.project_out(F.normalize(quantizer.project_in(x), dim=-1))
    (expected,) = torch.autograd.grad((smooth * pull).sum(), x)
    torch.testing.assert_close(through, expected)


def test_looking_tokens_up_gives_what_the_decoder_was_trained_on() -> None:
    quantizer = make(codes=16, width=4, width_in=5)
    quantized = quantizer(torch.randn(2, 6, 5, generator=noise()))
    torch.testing.assert_close(quantizer.lookup(quantized.tokens), quantized.vectors)


def test_usage_converges_to_each_codes_share_of_uniform() -> None:
    # Tokens 0 1 2 2 of K = 4: one token per code on average, shares 1, 1, 2, 0 of uniform.
    quantizer = make()
    quantizer.usage.copy_(torch.tensor([0.0, 5.0, 0.3, 9.0]))
    for _ in range(100):
        quantizer.observe(step_of(torch.tensor([[0, 1], [2, 2]])))
    torch.testing.assert_close(quantizer.usage, torch.tensor([1.0, 1.0, 2.0, 0.0]))


def step_of(tokens: Tensor, projected: Tensor | None = None) -> Quantized:
    """What a step yields, for its tokens (B, T) and projections (B, T, 2)."""
    projected = torch.randn(*tokens.shape, 2) if projected is None else projected
    return Quantized(projected, tokens, projected, projected, torch.zeros(()))


def test_usage_forgets_by_e_over_memory_tokens_per_code() -> None:
    quantizer = VectorQuantizer(2, 2, CodebookSize(codes=2, width=2, memory=4.0))
    quantizer.observe(step_of(torch.zeros(1, 8, dtype=torch.long)))  # 4 tokens per code, all code 0
    keep = math.exp(-1)
    torch.testing.assert_close(quantizer.usage, torch.tensor([keep + 2 * (1 - keep), keep]))


def test_dead_codes_move_onto_latents_and_live_ones_stay() -> None:
    latents = F.normalize(torch.randn(2, 5, 2, generator=noise(3)), dim=-1)
    revived = []
    for _ in range(2):
        quantizer = make()
        before = quantizer.codebook.detach().clone()
        quantizer.usage.copy_(torch.tensor([1.0, 0.01, 0.06, 0.0]))  # dead below 0.05
        quantizer.revive(latents, noise(7))
        assert torch.equal(quantizer.codebook[[0, 2]], before[[0, 2]])
        torch.testing.assert_close(quantizer.usage, torch.tensor([1.0, 1.0, 0.06, 1.0]))
        revived.append(quantizer.codebook[[1, 3]].detach())
    assert torch.equal(*revived)
    for code in revived[0]:
        assert (latents.flatten(0, 1) == code).all(-1).any()


def test_other_noise_draws_other_latents() -> None:
    latents = F.normalize(torch.randn(4, 64, 2, generator=noise(3)), dim=-1)
    books = []
    for seed in (1, 2):
        quantizer = make()
        quantizer.usage.zero_()
        quantizer.revive(latents, noise(seed))
        books.append(quantizer.codebook.detach())
    assert not torch.equal(*books)


def test_nothing_is_revived_while_all_codes_live() -> None:
    quantizer = make()
    before = quantizer.codebook.detach().clone()
    assert not quantizer.revive(torch.randn(1, 3, 2), noise()).any()
    assert torch.equal(quantizer.codebook, before)


def test_statistics_follow_those_of_the_steps() -> None:
    # Channels of mean 3 and -1, standard deviation 2 and 0.5.
    quantizer = make()
    values = torch.tensor([[[5.0, -0.5], [1.0, -1.5]]])
    for _ in range(1000):
        quantizer.observe(step_of(torch.tensor([[0, 1]]), values))
    torch.testing.assert_close(quantizer.mean, torch.tensor([3.0, -1.0]))
    torch.testing.assert_close(quantizer.spread, torch.tensor([2.0, 0.5]))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
def test_what_is_not_finite_moves_neither_statistics_nor_codes(value: float) -> None:
    quantizer = make()
    values = torch.tensor([[[value, -0.5], [1.0, -1.5]]])
    quantizer.observe(step_of(torch.tensor([[0, 1]]), values))
    assert quantizer.mean[0] == 0
    assert quantizer.spread[0] == 1
    assert quantizer.mean[1] == pytest.approx(-0.02)
    before = quantizer.codebook.detach().clone()
    quantizer.usage.zero_()
    assert not quantizer.revive(torch.full((1, 3, 2), torch.nan), noise()).any()
    assert torch.equal(quantizer.codebook, before)


def nearly_alike(seed: int = 0) -> Tensor:
    """Outputs (2, 64, 5) such as an untrained encoder's: one vector and a little spread."""
    return 3 + 0.1 * torch.randn(2, 64, 5, generator=noise(seed))


@pytest.mark.parametrize("autocast", [False, True])
def test_calibration_spreads_the_latents_and_puts_every_code_on_one(autocast: bool) -> None:
    quantizer, x = make(codes=16, width=4, width_in=5), nearly_alike()
    used_before = len(quantizer(x).tokens.unique())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        quantizer.calibrate(x, noise())
        inside = quantizer(x).latents
    standard = quantizer(x).projected.sub(quantizer.mean).div(quantizer.spread).flatten(0, 1)
    torch.testing.assert_close(standard.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(4), atol=1e-4, rtol=0)
    quantized = quantizer(x)
    closest = (quantizer.codebook @ quantized.latents.flatten(0, 1).T).amax(1)
    torch.testing.assert_close(closest, torch.ones(16))
    torch.testing.assert_close(quantizer.usage, torch.ones(16))
    assert len(quantized.tokens.unique()) > 2 * used_before
    assert (inside * quantized.latents).sum(-1).mean() > 0.9


def rank_inputs(rank: int) -> tuple[Tensor, Tensor]:
    """Tokens (2, 8) of 8 codes, the upper half never used, and latents (2, 8, 2)."""
    tokens = torch.randint(4, (2, 8), generator=noise(10 + rank))
    return tokens, F.normalize(torch.randn(2, 8, 2, generator=noise(20 + rank)), dim=-1)


def train_on_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    quantizer = make(codes=8)
    quantizer.calibrate(nearly_alike(rank)[..., :2], noise())
    tokens, latents = rank_inputs(rank)
    for step in range(8):
        quantizer.observe(step_of(tokens, latents))
        quantizer.revive(latents, noise(step))
    torch.save(quantizer.state_dict(), f"{folder}/state{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_with_different_data_keep_one_codebook(tmp_path: Path) -> None:
    mp.spawn(train_on_rank, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"state{rank}.pt") for rank in range(2))
    assert torch.equal(first["codebook"], second["codebook"])
    assert torch.equal(first["usage"], second["usage"])
    assert torch.equal(first["mean"], second["mean"])
    assert torch.equal(first["spread"], second["spread"])
    alone = make(codes=8)  # all tokens in one process, rank 0's latents
    alone.calibrate(nearly_alike(0)[..., :2], noise())
    calibrated = alone.codebook.detach().clone()
    both = [rank_inputs(0), rank_inputs(1)]
    for step in range(8):
        alone.observe(step_of(*map(torch.cat, zip(*both, strict=True))))
        alone.revive(rank_inputs(0)[1], noise(step))
    torch.testing.assert_close(first["codebook"], alone.codebook.detach())
    torch.testing.assert_close(first["usage"], alone.usage)
    torch.testing.assert_close(first["mean"], alone.mean)
    torch.testing.assert_close(first["spread"], alone.spread)
    assert not torch.equal(alone.codebook, calibrated)  # some were revived


def test_perplexity_counts_the_codes_in_use() -> None:
    # Shares 1/2, 1/4, 1/4: entropy ln 2 / 2 + 2 ln 4 / 4 = 1.5 ln 2.
    assert perplexity(torch.full((7,), 3)).item() == pytest.approx(7)
    assert perplexity(torch.tensor([0, 9, 0, 0])).item() == pytest.approx(1)
    assert perplexity(torch.tensor([2.0, 1.0, 1.0])).item() == pytest.approx(2**1.5)


def test_a_blend_ends_at_both_token_grids_exactly_and_stays_on_the_sphere():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(8, 6, CodebookSize(codes=16, width=4))
    a, b = torch.randint(0, 16, (2, 3, 5))
    assert torch.equal(quantizer.blend(a, b, 0.0), quantizer.lookup(a))
    assert torch.equal(quantizer.blend(a, b, 1.0), quantizer.lookup(b))
    with torch.autocast("cpu", torch.bfloat16):
        between = quantizer.blend(a, b, 0.3)
    assert between.dtype == torch.float32
    torch.testing.assert_close(between, quantizer.blend(b, a, 0.7))


def test_slerp_moves_evenly_along_the_arc_and_is_finite_everywhere():
    angle = torch.tensor([0.0, 1e-5, 0.5, 3.0])
    a = torch.tensor([1.0, 0.0]).expand(4, 2)
    b = torch.stack([angle.cos(), angle.sin()], -1)
    found = slerp(a, b, 0.25)
    expected = torch.stack([(angle / 4).cos(), (angle / 4).sin()], -1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    for share in (0.0, 0.4, 0.6, 1.0):
        assert torch.equal(slerp(a[:1], -a[:1], share), a[:1] if share < 0.5 else -a[:1])
        assert torch.equal(slerp(a[:1], a[:1], share), a[:1])
