import logging
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from models.blocks.attention import SHORT, attention, attention_backend

XFORMERS = "models.blocks.attention._xformers_attention"


def reference(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V in float64, written out."""
    q, k, v = query.double(), key.double(), value.double()
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1])
    if causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(ahead, -math.inf)
    share = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("bhqk,bhkd->bhqd", share, v)


def tokens(count: int, seed: int = 0, seen: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of `count` tokens, keys and values of `seen`, by default as many."""
    rng, seen = torch.Generator().manual_seed(seed), seen or count
    query, key, value = (torch.randn(2, 2, n, 8, generator=rng) for n in (count, seen, seen))
    return query, key, value


@pytest.fixture(autouse=True)
def fresh_choice() -> Iterator[None]:
    attention_backend.cache_clear()
    yield
    attention_backend.cache_clear()


def no_operator(*_: object) -> Tensor:
    raise NotImplementedError("no operator for this machine")


@pytest.mark.parametrize("count", [1, 5, SHORT, SHORT + 1])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_matches_the_float64_softmax(
    count: int, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XFORMERS, no_operator)
    query, key, value = tokens(count)
    result = attention(query, key, value, causal=causal)
    assert result.dtype == query.dtype
    expected = reference(query, key, value, causal).float()
    torch.testing.assert_close(result, expected, atol=2e-6, rtol=1e-5)


def test_causal_tokens_do_not_see_what_follows() -> None:
    query, key, value = tokens(6)
    before = attention(query, key, value, causal=True)
    for changed in (key, value):
        changed[:, :, 4:] += 3
    after = attention(query, key, value, causal=True)
    assert torch.equal(before[:, :, :4], after[:, :, :4])
    assert not torch.allclose(before[:, :, 4:], after[:, :, 4:])


@pytest.mark.parametrize(
    ("count", "seen"), [(1, 7), (7, 1), (5, SHORT), (SHORT, SHORT + 1), (SHORT + 1, 5)]
)
def test_tokens_attend_to_any_number_of_others(
    count: int, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XFORMERS, no_operator)
    query, key, value = tokens(count, seen=seen)
    expected = reference(query, key, value).float()
    torch.testing.assert_close(attention(query, key, value), expected, atol=2e-6, rtol=1e-5)


def test_causal_attention_to_other_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="Causal attention of 3 tokens to 5"):
        attention(*tokens(3, seen=5), causal=True)


@pytest.mark.parametrize(("count", "seen"), [(6, 6), (6, 11), (11, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_paths_give_the_same_values_and_gradients(
    count: int, seen: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(backend: str) -> list[Tensor]:
        monkeypatch.setattr("models.blocks.attention.attention_backend", lambda *_: backend)
        leaves = [x.to(dtype).requires_grad_() for x in tokens(count, seen=seen)]
        mixed = attention(*leaves)
        assert mixed.dtype == dtype
        grad = torch.linspace(-1, 1, mixed.numel()).view_as(mixed).to(dtype)
        return [x.float() for x in (mixed, *torch.autograd.grad(mixed, leaves, grad))]

    backends = ["product", "sdpa"]
    if attention_backend("cpu", dtype) == "xformers":
        backends.append("xformers")
    first, *others = (results(backend) for backend in backends)
    tolerance = 1e-5 if dtype == torch.float32 else 2**-6
    for other in others:
        for value, expected in zip(other, first, strict=True):
            assert (value - expected).norm() <= tolerance * expected.norm()


def test_falls_back_to_sdpa_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(XFORMERS, no_operator)
    with caplog.at_level(logging.INFO, logger="models.blocks.attention"):
        for seed in range(3):
            attention(*tokens(SHORT + 1, seed))
    assert [record.getMessage() for record in caplog.records] == [
        "attention on cpu in torch.float32: sdpa (xformers: NotImplementedError)"
    ]


def test_takes_xformers_where_its_probe_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(XFORMERS, lambda query, key, value, causal: 2 * query)
    query, key, value = tokens(SHORT + 1)
    with caplog.at_level(logging.INFO, logger="models.blocks.attention"):
        assert torch.equal(attention(query, key, value), 2 * query)
        attention(query, key, value)
    assert [record.getMessage() for record in caplog.records] == [
        "attention on cpu in torch.float32: xformers (its probe call works)"
    ]


def test_xformers_gets_queries_and_context_with_tokens_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # xformers has no operator for a CPU: its place is taken by one that has its arguments.
    def operator(query: Tensor, key: Tensor, value: Tensor, attn_bias: object) -> Tensor:
        assert attn_bias is None
        assert (query.shape, key.shape) == ((2, 6, 2, 8), (2, SHORT + 1, 2, 8))
        q, k, v = (x.transpose(1, 2) for x in (query, key, value))
        return reference(q, k, v).to(query.dtype).transpose(1, 2)

    ops = pytest.importorskip("xformers.ops")
    monkeypatch.setattr(ops, "memory_efficient_attention", operator)
    monkeypatch.setattr("models.blocks.attention.attention_backend", lambda *_: "xformers")
    query, key, value = tokens(6, seen=SHORT + 1)
    expected = reference(query, key, value).float()
    torch.testing.assert_close(attention(query, key, value), expected)


def test_short_sequences_on_a_cpu_take_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XFORMERS, lambda query, key, value, causal: 2 * query)
    query, key, value = tokens(SHORT)
    expected = reference(query, key, value).float()
    torch.testing.assert_close(attention(query, key, value), expected, atol=2e-6, rtol=1e-5)


def test_an_operator_without_a_backward_pass_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XFORMERS, lambda query, key, value, causal: query.detach())
    assert attention_backend("cpu", torch.float32) == "sdpa"


def test_probing_leaves_the_loggers_of_xformers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XFORMERS, no_operator)
    level = logging.getLogger("xformers").level
    attention_backend("cpu", torch.float32)
    assert logging.getLogger("xformers").level == level
