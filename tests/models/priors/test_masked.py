import math

import pytest
import torch
from tiny_priors import (
    CODES,
    MASK,
    Rounds,
    all_conditions,
    learn_by_heart,
    masked_prior,
    noise,
    random_tokens,
)
from torch import Tensor

from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors import masked as module
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.mask_schedules import (
    masked_share,
)
from models.priors.masked import (
    MaskedDecoding,
    MaskedPrior,
    choice_scores,
    least_confident,
)
from models.priors.sampling import SampleNoise, TokenSampling
from models.priors.token_prior import TO_SAMPLE

SCHEDULES = ("cosine", "linear", "arccos")


def test_every_known_token_and_condition_has_a_say_in_all_logits() -> None:
    prior, conditions, tokens = masked_prior(), all_conditions(1), random_tokens(1)
    tokens[:, 4] = MASK
    before = prior(tokens, conditions)
    assert before.shape == (1, 12, CODES)
    for t in range(12):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % CODES
        assert (prior(changed, conditions) != before).any(-1).all()
    for column in torch.eye(4, dtype=torch.bool):
        assert (prior(tokens, conditions.dropped(column[None])) != before).any(-1).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_number_of_steps_leaves_a_mask(schedule: str) -> None:
    conditions = all_conditions(3)
    for steps in range(1, 15):
        prior = masked_prior(decoding=MaskedDecoding(steps, schedule))
        found = prior.generate(conditions, SampleNoise(range(3)), TokenSampling())
        assert found.shape == (3, 12)
        assert ((found >= 0) & (found < CODES)).all(), steps


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 3, 7, 12, 14])
def test_a_step_leaves_as_many_masked_as_the_schedule_says(
    schedule: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = masked_prior(decoding=MaskedDecoding(steps, schedule))
    rounds = Rounds(prior, monkeypatch)
    given = torch.full((2, 12), TO_SAMPLE)
    given[1, :5] = 3
    prior.generate(all_conditions(2), SampleNoise(range(2)), TokenSampling(), given)
    assert len(rounds.inputs) == steps
    for row, unknown in enumerate((12, 7)):
        expected = [unknown]
        for step in range(1, steps):
            asked = math.floor(unknown * masked_share(step / steps, schedule) + 1e-9)
            # Each step decodes a token while there is more than one, and leaves one for the last.
            expected.append(max(1, min(asked, expected[-1] - 1)))
        assert [int((tokens[row] == MASK).sum()) for tokens in rounds.inputs] == expected


def test_what_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = masked_prior(decoding=MaskedDecoding(5))
    given = torch.full((4, 12), TO_SAMPLE)
    given[:3, [0, 5, 6]] = random_tokens(3, tokens=3)
    given[2] = random_tokens(1, seed=1)[0]
    before = given.clone()
    rounds = Rounds(prior, monkeypatch)
    found = prior.generate(all_conditions(4), SampleNoise(range(4)), TokenSampling(), given)
    assert torch.equal(given, before)
    assert torch.equal(found[given != TO_SAMPLE], given[given != TO_SAMPLE])
    for earlier, later in zip(rounds.inputs, [*rounds.inputs[1:], found], strict=True):
        known = earlier != MASK
        assert torch.equal(later[known], earlier[known])


def test_choices_without_temperature_are_the_most_confident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prior = masked_prior(decoding=MaskedDecoding(4, "linear", choice_temperature=0.0))
    rounds = Rounds(prior, monkeypatch)
    greedy = TokenSampling(temperature=0)
    prior.generate(all_conditions(3), SampleNoise(range(3)), greedy)
    best, codes = rounds.logits[0].softmax(-1).max(-1)
    chosen = rounds.inputs[1] != MASK
    assert chosen.sum(1).tolist() == [3, 3, 3]
    assert torch.equal(rounds.inputs[1][chosen], codes[chosen])
    for row in range(3):
        assert best[row, chosen[row]].min() > best[row, ~chosen[row]].max()


def test_choice_noise_is_gumbel_and_falls_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(2, 5, 4, generator=noise())
    drawn = torch.zeros(2, 5, dtype=torch.long)
    confidence = logits.log_softmax(-1)[..., 0]
    uniform = torch.full((2, 5), math.exp(-1))  # -log(-log(1 / e)) = 0
    torch.testing.assert_close(
        choice_scores(logits, drawn, uniform, 3.0), confidence, atol=1e-5, rtol=0
    )
    uniform = torch.full((2, 5), math.exp(-math.e))
    torch.testing.assert_close(
        choice_scores(logits, drawn, uniform, 3.0), confidence - 3, atol=1e-5, rtol=0
    )
    extremes = torch.tensor([0.0, 1 - 2**-24]).repeat(2, 5)[:, :5]
    assert choice_scores(logits, drawn, extremes, 1.0).isfinite().all()

    temperatures = []

    def noted(*arguments):
        temperatures.append(arguments[-1])
        return choice_scores(*arguments)

    monkeypatch.setattr(module, "choice_scores", noted)
    prior = masked_prior(decoding=MaskedDecoding(4, choice_temperature=2.0))
    prior.generate(all_conditions(1), SampleNoise([0]), TokenSampling())
    assert temperatures == [1.5, 1.0, 0.5, 0.0]


def test_the_least_confident_unknown_tokens_are_masked_again() -> None:
    known = math.inf
    scores = torch.tensor(
        [
            [0.3, 0.1, known, 0.2],
            [0.3, 0.1, known, 0.2],
            [0.3, 0.1, known, 0.2],
            [known, known, -5.0, known],
            [known, known, known, known],
        ]
    )
    counts = torch.tensor([2, 0, 4, 0, 3])
    again = least_confident(scores, counts)
    assert again.tolist() == [
        [False, True, False, True],
        [False, True, False, False],
        [False, True, False, True],
        [False, False, True, False],
        [False, False, False, False],
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sample_depends_on_its_seed_and_conditions_alone(dtype: torch.dtype) -> None:
    prior, conditions = masked_prior(), all_conditions(5)
    seeds = [7, 8, 9, 10, 11]
    together = prior.generate(conditions, SampleNoise(seeds), TokenSampling(), dtype=dtype)
    part = conditions.map(lambda value: value[[3, 1]])
    again = prior.generate(part, SampleNoise([10, 8]), TokenSampling(), dtype=dtype)
    assert torch.equal(again, together[[3, 1]])


def test_bfloat16_is_for_machines_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, found = masked_prior(), {}
    for fast in (False, True):
        monkeypatch.setattr(module, "bf16_is_fast", lambda fast=fast: fast)
        with monkeypatch.context() as patches:
            rounds = Rounds(prior, patches)
            arguments = all_conditions(2), SampleNoise(range(2)), TokenSampling()
            tokens = prior.generate(*arguments, dtype=torch.bfloat16)
        found[fast] = rounds.logits[0].dtype
        assert ((tokens >= 0) & (tokens < CODES)).all()
    assert found == {False: torch.float32, True: torch.bfloat16}


def test_guidance_moves_the_logits_away_from_the_unconditional_ones() -> None:
    prior, conditions = masked_prior(), all_conditions(3)
    greedy = {"temperature": 0.0}

    def drawn(guidance: float, asked: Conditions) -> Tensor:
        settings = TokenSampling(**greedy, guidance=guidance)
        return prior.generate(asked, SampleNoise(range(3)), settings)

    assert torch.equal(drawn(0.0, conditions), drawn(1.0, conditions.dropped()))
    assert not torch.equal(drawn(4.0, conditions), drawn(1.0, conditions))
    assert torch.equal(drawn(4.0, conditions.dropped()), drawn(1.0, conditions.dropped()))


@pytest.mark.parametrize("steps", [1, 6])
def test_greedy_decoding_returns_the_sequences_a_prior_has_learned_by_heart(steps: int) -> None:
    torch.manual_seed(1)
    tokens = random_tokens(16, codes=32, tokens=16)
    prior = MaskedPrior(
        32,
        TokenLayout(4, 4),
        ViTSize(32, 1, 2),
        ConditionKinds(16),
        dropout=0.0,
        label_smoothing=0.0,
        decoding=MaskedDecoding(steps, choice_temperature=0.0),
    )
    conditions = learn_by_heart(prior, tokens)
    greedy = TokenSampling(temperature=0)
    assert torch.equal(prior.generate(conditions, SampleNoise(range(16)), greedy), tokens)


def test_decoding_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="steps is 0, it must be from 1 to 1,000,000"):
        MaskedDecoding(0)
    with pytest.raises(ValueError, match=r"choice_temperature is -1.0, it must be at least 0"):
        MaskedDecoding(4, choice_temperature=-1.0)
