from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.small_products import Ending, SmallLinear, prepared_attention, room
from renderers.dispatch import available

if not available():
    pytest.skip("numba can't compile here", allow_module_level=True)

TYPES = [torch.float32, torch.bfloat16]


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def linear(depth: int, columns: int) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(depth, columns).requires_grad_(False)


def product(
    layer: nn.Linear,
    x: Tensor,
    dtype: torch.dtype,
    norm: nn.LayerNorm | None = None,
    ending: Ending = Ending.STORED,
    before: Tensor | None = None,
) -> Tensor:
    """What a prepared product makes of x (B, in), the second time it runs."""
    (rows, depth), columns = x.shape, layer.out_features
    source, out = room(rows, depth), room(rows, columns)
    launch = SmallLinear(layer, dtype).prepared(source, out, norm, ending)
    launch()
    source[:rows, :depth] = x
    out.zero_()
    if before is not None:
        out[:rows, :columns] = before
    launch()
    return out[:rows, :columns]


def stored(layer: nn.Linear, dtype: torch.dtype) -> Tensor:
    """Weights as they are stored."""
    return layer.weight.to(dtype).float()


def close(found: Tensor, expected: Tensor) -> None:
    """Kernels round nothing but the storage."""
    bound = 2e-6 * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, atol=bound, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [(1, 1, 1), (8, 16, 8), (3, 7, 5), (9, 33, 17), (16, 64, 24), (2, 100, 1), (1, 3, 130)],
)
def test_a_linear_layer_multiplies_rows_with_its_stored_weights(
    rows: int, depth: int, columns: int, dtype: torch.dtype
) -> None:
    layer, x = linear(depth, columns), normal(rows, depth)
    close(product(layer, x, dtype), F.linear(x, stored(layer, dtype), layer.bias))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("rows", "depth"), [(1, 4), (3, 20), (8, 33), (11, 64)])
def test_a_layer_norm_goes_before(rows: int, depth: int, dtype: torch.dtype) -> None:
    layer, x = linear(depth, 19), 3 * normal(rows, depth) + 2
    norm = nn.LayerNorm(depth).requires_grad_(False)
    norm.weight.copy_(normal(depth, seed=1))
    norm.bias.copy_(normal(depth, seed=2))
    expected = F.linear(norm(x), stored(layer, dtype), layer.bias)
    close(product(layer, x, dtype, norm), expected)


def test_a_gelu_goes_after() -> None:
    layer = linear(1, 1)
    layer.weight.fill_(1.0)
    layer.bias.fill_(0.0)
    x = torch.cat([torch.linspace(-12, 12, 401), torch.tensor([0.0, 1e30, -1e30])])[:, None]
    found = product(layer, x, torch.float32, ending=Ending.GELU)
    torch.testing.assert_close(found, F.gelu(x), atol=1e-6, rtol=5e-7)
    nan = product(layer, torch.tensor([[torch.nan]]), torch.float32, ending=Ending.GELU)
    assert nan.isnan().all()


@pytest.mark.parametrize("dtype", TYPES)
def test_a_product_can_be_added_to_what_is_there(dtype: torch.dtype) -> None:
    layer, x, before = linear(12, 21), normal(5, 12), normal(5, 21, seed=1)
    expected = before + F.linear(x, stored(layer, dtype), layer.bias)
    close(product(layer, x, dtype, ending=Ending.ADDED, before=before), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_share_the_columns_of_a_layer(threads: int, dtype: torch.dtype) -> None:
    layer, x, norm = linear(45, 203), normal(11, 45), nn.LayerNorm(45)
    expected = F.linear(norm(x).detach(), stored(layer, dtype), layer.bias)
    for _ in range(5):
        close(product(layer, x, dtype, norm), expected)


def test_a_row_does_not_depend_on_those_beside_it() -> None:
    layer, x, norm = linear(45, 33), normal(11, 45), nn.LayerNorm(45)
    together = product(layer, x, torch.bfloat16, norm, Ending.GELU)
    for rows in (1, 2, 3, 5, 8):
        part = product(layer, x[:rows], torch.bfloat16, norm, Ending.GELU)
        assert torch.equal(part, together[:rows])


def test_a_layer_keeps_the_weights_it_was_made_of() -> None:
    layer, x, out = linear(6, 4), room(2, 6), room(2, 4)
    x[:2, :6] = normal(2, 6)
    launch = SmallLinear(layer, torch.float32).prepared(x, out)
    launch()
    before = out.clone()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    launch()
    assert torch.equal(out, before)
    assert before[:2, :4].ne(0).all()


def attention_of(query: Tensor, keys: Tensor, values: Tensor, filled: int) -> Tensor:
    """In float64, written out."""
    q, k, v = query.double(), keys[:, :, :filled].double(), values[:, :, :filled].double()
    scores = torch.einsum("bhd,bhtd->bht", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bht,bhtd->bhd", scores.softmax(-1), v).float()


def attend(query: Tensor, keys: Tensor, values: Tensor, position: int) -> tuple[Tensor, Tensor]:
    """Attention of query (B, heads, d) to keys and values (B, heads, T, d) up to a position, whose
    own come with the query; and the cache, which has NaN from there on at the start."""
    batch, heads, channels = query.shape
    cache = torch.stack([keys, values])
    cache[:, :, :, position:] = torch.nan
    qkv, out = room(batch, 3 * heads * channels), room(batch, heads * channels)
    own = [query, keys[:, :, position].float(), values[:, :, position].float()]
    qkv[:batch, : 3 * heads * channels] = torch.stack(own, 1).flatten(1)
    place = torch.zeros(1, dtype=torch.int64)
    launch = prepared_attention(qkv, cache, place, out)
    place.fill_(position)  # it is read when the launch runs
    launch()
    return out[:batch, : heads * channels].unflatten(1, (heads, channels)), cache


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 3, 8, 12, 16, 20, 33, 64, 70])
@pytest.mark.parametrize(("filled", "tokens"), [(1, 1), (1, 9), (5, 9), (9, 9), (37, 40)])
def test_a_query_attends_to_all_tokens_up_to_its_own(
    channels: int, filled: int, tokens: int, dtype: torch.dtype
) -> None:
    shape = (3, 2, tokens, channels)
    query, keys, values = normal(3, 2, channels), normal(*shape, seed=1), normal(*shape, seed=2)
    keys, values = keys.to(dtype), values.to(dtype)
    found, cache = attend(query, keys, values, filled - 1)
    close(found, attention_of(query, keys, values, filled))
    assert torch.equal(cache[0, :, :, :filled], keys[:, :, :filled])
    assert torch.equal(cache[1, :, :, :filled], values[:, :, :filled])
    assert cache[:, :, :, filled:].isnan().all()


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_share_the_heads(threads: int, dtype: torch.dtype) -> None:
    query = normal(5, 3, 24)
    keys, values = (normal(5, 3, 31, 24, seed=seed).to(dtype) for seed in (1, 2))
    for _ in range(5):
        close(attend(query, keys, values, 16)[0], attention_of(query, keys, values, 17))


def test_large_scores_do_not_overflow() -> None:
    query, keys = 100 * normal(1, 1, 8), 100 * normal(1, 1, 4, 8, seed=1)
    values = normal(1, 1, 4, 8, seed=2)
    found, _ = attend(query, keys, values, 3)
    best = (query[:, :, None] * keys).sum(-1).argmax()
    torch.testing.assert_close(found[0, 0], values[0, 0, best])


def test_a_diverged_model_shows() -> None:
    query, keys, values = normal(1, 1, 8), normal(1, 1, 4, 8, seed=1), normal(1, 1, 4, 8, seed=2)
    found, _ = attend(query * torch.nan, keys, values, 3)
    assert found.isnan().all()
