import pytest
import torch
from tiny_priors import (
    CODES,
    all_conditions,
    causal_prior,
    learn_by_heart,
    random_tokens,
)
from torch import Tensor

from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.generator import TokenGenerator
from models.priors.autoregressive import AutoregressivePrior
from models.priors.cached_decoder import CachedDecoder
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.sampling import SampleNoise, TokenSampling, draw_tokens, guide
from models.priors.token_prior import TO_SAMPLE
from models.vq3d import VQ3D
from renderers.ray_sampling import RaySampling

FAST_PATH = "models.priors.cached_decoder.fast_path"


@torch.no_grad()
def drawn_without_a_cache(
    prior: AutoregressivePrior,
    conditions: Conditions,
    noise: SampleNoise,
    sampling: TokenSampling,
    given: Tensor | None = None,
) -> Tensor:
    """Every token from a pass over the whole sequence so far."""
    uniform = noise.uniform(prior.layout.tokens)
    tokens = torch.zeros(len(conditions), prior.layout.tokens, dtype=torch.long)
    for t in range(prior.layout.tokens):
        logits = prior(tokens, conditions)[:, t]
        if sampling.guidance != 1:
            without = prior(tokens, conditions.dropped())[:, t]
            logits = guide(logits, without, sampling.guidance)
        tokens[:, t] = draw_tokens(logits, sampling, uniform[:, t])
        if given is not None:
            tokens[:, t] = torch.where(given[:, t] == TO_SAMPLE, tokens[:, t], given[:, t])
    return tokens


def logits_one_by_one(
    prior: AutoregressivePrior, tokens: Tensor, conditions: Conditions, dtype: torch.dtype
) -> Tensor:
    """Logits (B, T, K) of given tokens, out of a cache."""
    with torch.no_grad():
        x = torch.cat([prior.prefix(conditions), prior.embedded(tokens)[:, :-1]], 1)
        decoder = CachedDecoder(prior.transformer, prior.head, len(x), x.shape[1], dtype)
        logits = [decoder.step(x[:, n]).clone() for n in range(x.shape[1])]
    return torch.stack(logits[prior.kinds.tokens - 1 :], 1)


def test_logits_do_not_depend_on_the_token_itself_nor_on_later_ones() -> None:
    prior, conditions, tokens = causal_prior(), all_conditions(2), random_tokens(2)
    before = prior(tokens, conditions)
    assert before.shape == (2, 12, CODES)
    for t in range(12):
        changed = torch.cat([tokens[:, :t], (tokens[:, t:] + 1) % CODES], 1)
        after = prior(changed, conditions)
        assert torch.equal(before[:, : t + 1], after[:, : t + 1])
        assert (before[:, t + 1 :] != after[:, t + 1 :]).any(-1).all()


def test_every_token_and_condition_has_a_say_in_the_last_logits() -> None:
    prior, conditions, tokens = causal_prior(), all_conditions(1), random_tokens(1)
    before = prior(tokens, conditions)[:, -1]
    for t in range(11):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % CODES
        assert not torch.allclose(prior(changed, conditions)[:, -1], before)
    for column in torch.eye(4, dtype=torch.bool):
        assert not torch.allclose(prior(tokens, conditions.dropped(column[None]))[:, -1], before)


@pytest.mark.parametrize("guidance", [1.0, 2.5, 0.0])
@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 0.7, "top_k": 4}, {"top_p": 0.6}, {"temperature": 0.0}]
)
def test_the_cache_changes_no_token(guidance: float, sampling: dict[str, float]) -> None:
    prior, conditions = causal_prior(), all_conditions(9)
    settings = TokenSampling(**sampling, guidance=guidance)
    for first in (0, 100):
        seeds = range(first, first + 9)
        found = prior.generate(conditions, SampleNoise(seeds), settings)
        expected = drawn_without_a_cache(prior, conditions, SampleNoise(seeds), settings)
        assert torch.equal(found, expected)
        assert len(found.unique()) > 1


def test_the_cache_changes_no_token_without_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, conditions, settings = causal_prior(), all_conditions(3), TokenSampling(guidance=2)
    with_kernels = prior.generate(conditions, SampleNoise(range(3)), settings)
    monkeypatch.setattr(FAST_PATH, lambda storage: False)
    assert torch.equal(prior.generate(conditions, SampleNoise(range(3)), settings), with_kernels)


@pytest.mark.parametrize("kernels", [True, False])
def test_a_cache_in_bfloat16_gives_nearly_the_same_logits(
    kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr(FAST_PATH, lambda storage: False)
    prior, conditions, tokens = causal_prior(), all_conditions(4), random_tokens(4)
    expected = prior(tokens, conditions)
    exact = logits_one_by_one(prior, tokens, conditions, torch.float32)
    torch.testing.assert_close(exact, expected, atol=1e-5, rtol=0)
    rounded = logits_one_by_one(prior, tokens, conditions, torch.bfloat16)
    # bfloat16 keeps 8 bits: an error of a few 2^-9 of the logits' own spread.
    error = (rounded - expected).std() / expected.std()
    assert 1e-4 < error < 0.01, error


def test_a_full_cache_takes_no_further_token() -> None:
    prior = causal_prior()
    decoder = CachedDecoder(prior.transformer, prior.head, 2, 3, torch.float32)
    x = torch.randn(2, 16)
    for _ in range(3):
        decoder.step(x)
    with pytest.raises(ValueError, match="The cache holds 3 tokens and is full"):
        decoder.step(x)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_given_tokens_are_kept_and_seen_by_those_after_them(guidance: float) -> None:
    prior, conditions = causal_prior(), all_conditions(4)
    settings = TokenSampling(guidance=guidance)
    given = torch.full((4, 12), TO_SAMPLE)
    given[:, [0, 5, 6]] = random_tokens(4, tokens=3)
    given[3] = TO_SAMPLE
    before = given.clone()
    found = prior.generate(conditions, SampleNoise(range(4)), settings, given)
    assert torch.equal(given, before)
    assert torch.equal(found[:3, [0, 5, 6]], given[:3, [0, 5, 6]])
    assert torch.equal(
        found, drawn_without_a_cache(prior, conditions, SampleNoise(range(4)), settings, given)
    )
    free = prior.generate(conditions, SampleNoise(range(4)), settings)
    assert torch.equal(found[3], free[3])
    assert not torch.equal(found[:3, 1:5], free[:3, 1:5])
    complete = random_tokens(4)
    assert torch.equal(
        prior.generate(conditions, SampleNoise(range(4)), settings, complete), complete
    )


def test_a_sample_depends_on_its_seed_and_conditions_alone() -> None:
    prior, conditions = causal_prior(), all_conditions(5)
    together = prior.generate(conditions, SampleNoise([7, 8, 9, 10, 11]), TokenSampling())
    part = conditions.map(lambda value: value[[3, 1]])
    again = prior.generate(part, SampleNoise([10, 8]), TokenSampling())
    assert torch.equal(again, together[[3, 1]])


def test_the_score_is_the_likelihood_that_generation_draws_from() -> None:
    prior, conditions, tokens = causal_prior(), all_conditions(3), random_tokens(3)
    scores = prior.scores(tokens, conditions, torch.Generator())
    with torch.no_grad():
        shares = logits_one_by_one(prior, tokens, conditions, torch.float32).softmax(-1)
    expected = shares.gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(scores.nll, -expected.log().mean(1), atol=1e-5, rtol=1e-5)
    right = (shares.argmax(-1) == tokens).float().mean(1)
    torch.testing.assert_close(scores.accuracy, right)


def test_smoothing_changes_the_loss_and_not_the_figures() -> None:
    conditions, tokens = all_conditions(3), random_tokens(3)
    plain, smooth = (
        causal_prior(label_smoothing=s).training_loss(tokens, conditions, torch.Generator())
        for s in (0.0, 0.2)
    )
    torch.testing.assert_close(plain.loss, plain.nll)
    assert torch.equal(plain.nll, smooth.nll)
    assert torch.equal(plain.accuracy, smooth.accuracy)
    # Cross-entropy is linear in the target: 0.8 of the token's and 0.2 of the mean over all codes.
    logits = causal_prior()(tokens, conditions)
    uniform = -logits.log_softmax(-1).mean()
    torch.testing.assert_close(smooth.loss, 0.8 * plain.nll + 0.2 * uniform)


def test_an_untrained_head_of_zeros_costs_log_k() -> None:
    prior = causal_prior()
    torch.nn.init.zeros_(prior.head.weight)
    torch.nn.init.zeros_(prior.head.bias)
    scores = prior.scores(random_tokens(4), all_conditions(4), torch.Generator())
    torch.testing.assert_close(scores.nll, torch.full((4,), CODES).log())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_decoding_returns_the_sequences_a_prior_has_learned_by_heart(
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(1)
    tokens = random_tokens(16, codes=32, tokens=16)
    prior = AutoregressivePrior(32, TokenLayout(4, 4), ViTSize(32, 1, 2), ConditionKinds(16))
    conditions = learn_by_heart(prior, tokens)
    greedy = TokenSampling(temperature=0)
    found = prior.generate(conditions, SampleNoise(range(16)), greedy, dtype=dtype)
    assert torch.equal(found, tokens)


def test_a_prior_gives_back_the_scenes_of_the_images_it_has_learned_by_heart() -> None:
    torch.manual_seed(1)
    autoencoder = VQ3D(
        16,
        4,
        ViTSize(16, 1, 2),
        ViTSize(16, 1, 2),
        CodebookSize(16, 4),
        PlaneSize(4, 8),
        8,
        sampling=RaySampling(4, 0, "disparity"),
    ).eval()
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(16, 3, 16, 16, generator=rng)
    autoencoder.calibrate(images, rng)
    tokens = autoencoder.encode(images).tokens
    assert len(tokens.unique(dim=0)) == 16
    prior = AutoregressivePrior(
        autoencoder.codes, autoencoder.layout, ViTSize(32, 1, 2), ConditionKinds(16)
    )
    conditions = learn_by_heart(prior, tokens)
    generator = TokenGenerator(prior, autoencoder)
    rng, greedy = SampleNoise(range(16)), TokenSampling(temperature=0)
    assert torch.equal(generator.tokens(conditions, rng, greedy), tokens)
    with torch.no_grad():
        found = generator.generate(conditions, rng, greedy)
        expected = autoencoder.reconstruct(images)
    for ours, theirs in zip(found[:3].planes, expected[:3].planes, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
