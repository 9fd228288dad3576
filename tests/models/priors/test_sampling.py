import pytest
import torch
from torch import Tensor

from models.priors.sampling import (
    SampleNoise,
    TokenSampling,
    draw_tokens,
    filtered_probabilities,
    guide,
)

NEARLY_ONE = 1 - 2**-24
"""The largest float32 below 1."""

SHARES = (0.125, 0.5, 0.0625, 0.25, 0.0625)


def logits(*shares: float) -> Tensor:
    return torch.tensor(shares).log()


def drawn(source: Tensor, *uniform: float, **settings: float) -> list[int]:
    """Tokens at each of some uniform numbers."""
    numbers = torch.tensor(uniform)
    repeated = source.expand(len(uniform), -1)
    return draw_tokens(repeated, TokenSampling(**settings), numbers).tolist()


def kept(source: Tensor, **settings: float) -> set[int]:
    """Codes that may be drawn."""
    return set(filtered_probabilities(source, TokenSampling(**settings)).nonzero()[:, 0].tolist())


def test_a_uniform_number_falls_on_the_code_whose_share_it_is_in() -> None:
    ends = (0.125, 0.625, 0.6875, 0.9375)
    below = [end - 1e-5 for end in ends]
    above = [end + 1e-5 for end in ends]
    assert drawn(logits(*SHARES), 0.0, *below, NEARLY_ONE) == [0, 0, 1, 2, 3, 4]
    assert drawn(logits(*SHARES), *above) == [1, 2, 3, 4]


def test_temperature_is_a_power_of_the_shares() -> None:
    found = filtered_probabilities(logits(*SHARES), TokenSampling(temperature=0.5))
    squares = torch.tensor(SHARES).square()
    torch.testing.assert_close(found, squares / squares.sum())
    shifted = filtered_probabilities(logits(*SHARES) + 7, TokenSampling(temperature=0.5))
    torch.testing.assert_close(shifted, found)


def test_temperature_zero_takes_the_most_probable() -> None:
    uniform = [0.0, 0.3, NEARLY_ONE]
    assert drawn(logits(*SHARES), *uniform, temperature=0.0) == [1, 1, 1]
    assert drawn(logits(*SHARES), *uniform, temperature=0.0, top_k=3, top_p=0.1) == [1, 1, 1]
    assert len(set(drawn(logits(0.2, 0.4, 0.4), *uniform, temperature=0.0))) == 1


@pytest.mark.parametrize(
    ("k", "codes"), [(1, {1}), (2, {1, 3}), (3, {0, 1, 3}), (0, set(range(5))), (9, set(range(5)))]
)
def test_top_k_keeps_the_k_most_probable(k: int, codes: set[int]) -> None:
    assert kept(logits(*SHARES), top_k=k) == codes
    found = filtered_probabilities(logits(*SHARES), TokenSampling(top_k=k))
    share = torch.tensor([share if code in codes else 0.0 for code, share in enumerate(SHARES)])
    torch.testing.assert_close(found, share / share.sum())


def test_top_k_leaves_no_choice_between_equals() -> None:
    assert kept(logits(*SHARES), top_k=4) == set(range(5))
    assert kept(torch.zeros(4), top_k=2) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("p", "codes"),
    [
        (0.1, {1}),
        (0.5, {1}),
        (0.51, {1, 3}),
        (0.75, {1, 3}),
        (0.8, {0, 1, 3}),
        (1.0, set(range(5))),
    ],
)
def test_top_p_keeps_the_fewest_that_hold_the_share(p: float, codes: set[int]) -> None:
    assert kept(logits(*SHARES), top_p=p) == codes
    found = filtered_probabilities(logits(*SHARES), TokenSampling(top_p=p))
    share = torch.tensor([share if code in codes else 0.0 for code, share in enumerate(SHARES)])
    torch.testing.assert_close(found, share / share.sum())


def test_top_p_of_equals_keeps_as_many_as_it_needs() -> None:
    assert len(kept(torch.zeros(8), top_p=0.5)) == 4
    assert len(kept(torch.zeros(8), top_p=0.51)) == 5


def test_top_p_counts_what_top_k_and_temperature_left() -> None:
    # Of 1/8, 1/2 and 1/4, the two larger ones hold 6/7.
    assert kept(logits(*SHARES), top_k=3, top_p=0.85) == {1, 3}
    assert kept(logits(*SHARES), top_k=3, top_p=0.87) == {0, 1, 3}
    # Squared, 1/2 holds 0.73 of all.
    assert kept(logits(*SHARES), top_p=0.7, temperature=0.5) == {1}


def test_a_code_without_probability_is_never_drawn() -> None:
    never = -torch.inf
    source = torch.tensor([never, 0.0, never, never, 1.0, never])
    assert drawn(source, 0.0, NEARLY_ONE) == [1, 4]
    far = torch.tensor([-200.0, 0.0, -200.0, 1.0, -200.0])  # underflows
    assert drawn(far, 0.0, NEARLY_ONE) == [1, 3]
    assert drawn(far, 0.0, NEARLY_ONE, temperature=0.0) == [3, 3]


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.3}, {"temperature": 0.01}])
@pytest.mark.parametrize("codes", [5, 1000, 8192])
def test_the_ends_of_the_unit_interval_fall_on_codes_that_may_be_drawn(
    codes: int, settings: dict[str, float]
) -> None:
    rng = torch.Generator().manual_seed(0)
    source = 4 * torch.randn(200, codes, generator=rng)
    shares = filtered_probabilities(source, TokenSampling(**settings))
    assert (shares.sum(-1) - 1).abs().max() < 1e-5
    for uniform in (0.0, NEARLY_ONE):
        tokens = draw_tokens(source, TokenSampling(**settings), torch.full((200,), uniform))
        assert (shares.gather(-1, tokens[:, None]) > 0).all()


def test_tokens_of_any_shape_are_drawn_each_with_its_number() -> None:
    rng = torch.Generator().manual_seed(0)
    source, uniform = (torch.rand(shape, generator=rng) for shape in ((2, 3, 7), (2, 3)))
    found = draw_tokens(source, TokenSampling(), uniform)
    assert found.shape == (2, 3)
    assert found.dtype == torch.int64
    for place in ((0, 0), (1, 2), (0, 1)):
        assert found[place] == draw_tokens(source[place], TokenSampling(), uniform[place])


def test_guidance_goes_the_way_from_unconditional_to_conditional_logits() -> None:
    conditional, unconditional = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])
    torch.testing.assert_close(guide(conditional, unconditional, 0.0), unconditional)
    torch.testing.assert_close(guide(conditional, unconditional, 1.0), conditional)
    torch.testing.assert_close(guide(conditional, unconditional, 3.0), torch.tensor([3.0, -2.0]))
    assert not TokenSampling().guided
    assert TokenSampling(guidance=0.0).guided


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"temperature": -0.1}, "temperature is -0.1, it must be at least 0"),
        ({"top_k": -1}, "top_k is -1, it must be at least 0"),
        ({"top_p": 0.0}, "top_p is 0.0, it must be above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p is 1.5, it must be above 0 and at most 1"),
        ({"guidance": -1.0}, "guidance is -1.0, it must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TokenSampling(**settings)


def test_the_numbers_of_a_sample_are_those_of_its_seed() -> None:
    together, alone = SampleNoise([3, 4, 5]), SampleNoise([5])
    assert len(together) == 3
    for shape in ((4,), (2, 5), ()):
        numbers = together.uniform(*shape)
        assert numbers.shape == (3, *shape)
        assert numbers.dtype == torch.float32
        assert torch.equal(numbers[2:], alone.uniform(*shape))
        assert not torch.equal(numbers[0], numbers[1])
    first = SampleNoise([3]).uniform(4)
    assert torch.equal(first, SampleNoise([3]).uniform(4))
    assert ((first >= 0) & (first < 1)).all()


def test_drawing_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    SampleNoise([1]).uniform(3)
    assert torch.equal(torch.rand(4), expected)
