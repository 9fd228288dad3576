from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.small_products import SmallLinear, attend_cached
from renderers.dispatch import available

FAST_PATH = "models.blocks.small_products.fast_path"
TYPES = [torch.float32, torch.bfloat16]


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(params=["kernels", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Products on the kernels of the CPU, or as they are computed elsewhere."""
    if request.param == "plain":
        monkeypatch.setattr(FAST_PATH, lambda storage: False)
    elif not available():
        pytest.skip("numba can't compile here")
    return request.param


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tolerance(path: str, dtype: torch.dtype, expected: Tensor) -> float:
    """Absolute, beside outputs of about `expected`: the kernels round nothing but the storage, so
    only the plain path, whose other factor and result are bfloat16 too, is less exact."""
    rounded = path == "plain" and dtype == torch.bfloat16
    return (2**-7 if rounded else 2e-6) * float(expected.abs().max())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [(1, 1, 1), (8, 16, 8), (3, 7, 5), (9, 33, 17), (16, 64, 24), (2, 100, 1), (1, 3, 130)],
)
def test_a_linear_layer_multiplies_rows_with_its_stored_weights(
    rows: int, depth: int, columns: int, dtype: torch.dtype, path: str
) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(depth, columns), normal(rows, depth)
    stored = layer.weight.to(dtype).float()
    expected = F.linear(x, stored, layer.bias).detach()
    found = SmallLinear(layer, dtype)(x)
    assert found.dtype == torch.float32
    assert found.shape == (rows, columns)
    bound = tolerance(path, dtype, expected)
    torch.testing.assert_close(found, expected, atol=bound, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_share_the_columns_of_a_layer(threads: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(45, 203), normal(11, 45)
    expected = F.linear(x, layer.weight.to(dtype).float(), layer.bias).detach()
    small = SmallLinear(layer, dtype)
    for _ in range(20):
        torch.testing.assert_close(small(x), expected, atol=1e-5, rtol=0)


def test_a_layer_keeps_the_weights_it_was_made_of(path: str) -> None:
    layer, x = nn.Linear(6, 4), normal(2, 6)
    small = SmallLinear(layer, torch.float32)
    before = small(x)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    assert torch.equal(small(x), before)


def test_rows_need_not_be_contiguous(path: str) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4), normal(6, 3).T
    found = SmallLinear(layer, torch.float32)(x)
    torch.testing.assert_close(found, layer(x).detach(), atol=1e-6, rtol=0)


def attention_of(query: Tensor, keys: Tensor, values: Tensor, filled: int) -> Tensor:
    """In float64, written out."""
    q, k, v = query.double(), keys[:, :, :filled].double(), values[:, :, :filled].double()
    scores = torch.einsum("bhd,bhtd->bht", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bht,bhtd->bhd", scores.softmax(-1), v).float()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 3, 8, 12, 16, 20, 33, 64, 70])
@pytest.mark.parametrize(("filled", "tokens"), [(1, 1), (1, 9), (5, 9), (9, 9)])
def test_a_query_attends_to_the_filled_part_of_the_storage(
    channels: int, filled: int, tokens: int, dtype: torch.dtype, path: str
) -> None:
    shape = (3, 2, tokens, channels)
    query, keys, values = normal(3, 2, channels), normal(*shape, seed=1), normal(*shape, seed=2)
    keys[:, :, filled:] = values[:, :, filled:] = torch.nan
    keys, values = keys.to(dtype), values.to(dtype)
    expected = attention_of(query, keys, values, filled)
    found = attend_cached(query, keys, values, filled)
    assert found.dtype == torch.float32
    bound = max(tolerance(path, dtype, expected), 2e-6)
    torch.testing.assert_close(found, expected, atol=bound, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_share_the_heads(threads: int, dtype: torch.dtype) -> None:
    query = normal(5, 3, 24)
    keys, values = (normal(5, 3, 31, 24, seed=seed).to(dtype) for seed in (1, 2))
    expected = attention_of(query, keys, values, 17)
    for _ in range(20):
        found = attend_cached(query, keys, values, 17)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_large_scores_do_not_overflow(path: str) -> None:
    query, keys = 100 * normal(1, 1, 8), 100 * normal(1, 1, 4, 8, seed=1)
    values = normal(1, 1, 4, 8, seed=2)
    found = attend_cached(query, keys, values, 4)
    best = (query[:, :, None] * keys).sum(-1).argmax()
    torch.testing.assert_close(found[0, 0], values[0, 0, best])


def test_a_query_need_not_be_contiguous(path: str) -> None:
    query = normal(3, 2, 2, 8)[:, 1]
    keys, values = normal(3, 2, 4, 8, seed=1), normal(3, 2, 4, 8, seed=2)
    found = attend_cached(query, keys, values, 3)
    torch.testing.assert_close(found, attention_of(query, keys, values, 3), atol=2e-6, rtol=0)
