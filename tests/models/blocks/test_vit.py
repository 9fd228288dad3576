import math

import pytest
import torch
from torch import Tensor, nn

from models.blocks.vit import (
    CrossAttention,
    PatchEmbedding,
    Transformer,
    TransformerBlock,
    ViTSize,
    scale_residual_branches,
    sine_positions,
)


def test_patches_come_in_raster_order_with_pixels_row_by_row() -> None:
    # 4x4 image in 2x2 patches; with the identity as weight, a token is its patch, 2 x - 1.
    embed = PatchEmbedding(patch=2, width=12)
    with torch.no_grad():
        embed.linear.weight.copy_(torch.eye(12))
        embed.linear.bias.zero_()
    image = torch.arange(48.0).reshape(1, 3, 4, 4) / 47
    tokens = embed(image)
    assert tokens.shape == (1, 4, 12)
    places = [[(0, 0), (0, 1), (1, 0), (1, 1)], [(0, 2), (0, 3), (1, 2), (1, 3)]]
    for token, pixels in enumerate(places):
        expected = torch.stack([2 * image[0, :, i, j] - 1 for i, j in pixels]).flatten()
        torch.testing.assert_close(tokens[0, token], expected)
    lower_left = torch.stack([2 * image[0, :, i, j] - 1 for i, j in [(2, 0), (2, 1)]]).flatten()
    torch.testing.assert_close(tokens[0, 2, :6], lower_left)


def test_positions_tell_equal_patches_apart() -> None:
    torch.manual_seed(0)
    transformer = Transformer(ViTSize(width=8, depth=1, heads=2), grid=2)
    x = torch.randn(1, 4, 8)
    order = torch.tensor([2, 0, 3, 1])
    assert not torch.allclose(transformer(x[:, order]), transformer(x)[:, order], atol=1e-4)
    with torch.no_grad():
        transformer.position.zero_()
    torch.testing.assert_close(transformer(x[:, order]), transformer(x)[:, order])


def test_every_token_sees_every_other_and_no_other_image() -> None:
    torch.manual_seed(0)
    transformer = Transformer(ViTSize(width=8, depth=1, heads=2), grid=2)
    x = torch.randn(2, 4, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(transformer(x)[0, 0, 0], x)
    assert (gradient[0].abs().sum(-1) > 0).all()
    assert (gradient[1] == 0).all()


def test_tokens_come_out_normalised() -> None:
    torch.manual_seed(0)
    out = Transformer(ViTSize(width=16, depth=2, heads=4), grid=2)(5 + 3 * torch.randn(2, 4, 16))
    torch.testing.assert_close(out.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(-1, unbiased=False), torch.ones(2, 4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("heads", [3, 7])
def test_width_that_heads_do_not_divide_is_refused(heads: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^width is 512, it must be a multiple of 4 and of heads, {heads}\.$"
    ):
        ViTSize(width=512, heads=heads)


def test_first_positions_are_sines_of_row_and_column() -> None:
    # Width 8: frequencies 1 and 100^(-1/2) = 0.1; row sines, row cosines, then the column's.
    positions = sine_positions(3, 8)
    row, column = 1.0, 2.0
    expected = [f(x * w) for x in (row, column) for f in (math.sin, math.cos) for w in (1.0, 0.1)]
    torch.testing.assert_close(positions[3 * 1 + 2], torch.tensor(expected))


def plain_cross_attention(layer: CrossAttention, x: Tensor, context: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V head by head, from the layer's weights."""
    query, (key, value) = layer.query(x), layer.key_value(context).chunk(2, -1)
    width = query.shape[-1] // layer.heads
    heads = []
    for q, k, v in zip(*(y.split(width, -1) for y in (query, key, value)), strict=True):
        heads.append((q @ k.mT / math.sqrt(width)).softmax(-1) @ v)
    return layer.out(torch.cat(heads, -1))


def test_cross_attention_is_the_plain_softmax_over_its_context() -> None:
    torch.manual_seed(0)
    layer = CrossAttention(12, heads=3, context_width=20)
    x, context = torch.randn(2, 5, 12), torch.randn(2, 7, 20)
    torch.testing.assert_close(layer(x, context), plain_cross_attention(layer, x, context))


def test_a_token_alone_in_its_context_is_what_all_tokens_get() -> None:
    torch.manual_seed(0)
    layer = CrossAttention(8, heads=2, context_width=6)
    context = torch.randn(2, 1, 6)
    value = layer.key_value(context)[..., 8:]
    expected = layer.out(value).expand(2, 5, 8)
    torch.testing.assert_close(layer(torch.randn(2, 5, 8), context), expected)


def test_a_block_takes_in_its_context_between_self_attention_and_mlp() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(ViTSize(width=8, heads=2), context_width=6)
    x, context = torch.randn(2, 5, 8), torch.randn(2, 3, 6)
    assert block.norm_cross is not None
    assert block.cross_attention is not None
    with torch.no_grad():
        block.norm_cross.weight.copy_(torch.arange(1.0, 9.0))  # tells the norms apart
    y = x + block.attention(block.norm_attention(x))
    y = y + block.cross_attention(block.norm_cross(y), context)
    torch.testing.assert_close(block(x, context), y + block.mlp(block.norm_mlp(y)))


def test_gradients_reach_the_context_of_their_own_image_only() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(ViTSize(width=8, heads=2), causal=True, context_width=6)
    x, context = torch.randn(2, 5, 8), torch.randn(2, 3, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(x, context)[0, 0].square().sum(), context)
    assert (gradient[0].abs().sum(-1) > 0).all()
    assert not gradient[1].any()


@pytest.mark.parametrize("mixed", [torch.bfloat16, torch.float64])
def test_a_context_of_another_dtype_is_taken_in_that_of_the_tokens(mixed: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = CrossAttention(8, heads=2, context_width=6)
    x, context = torch.randn(2, 5, 8), torch.randn(2, 3, 6).to(mixed)
    assert torch.equal(layer(x, context), layer(x, context.float()))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x, context)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x, context.float()), atol=0.02, rtol=0.02)


def test_a_block_without_context_has_the_weights_it_always_had() -> None:
    torch.manual_seed(3)
    block = TransformerBlock(ViTSize(width=8, heads=2))
    torch.manual_seed(3)
    nn.Linear(8, 24), nn.Linear(8, 8)
    expected = nn.Linear(8, 32)
    first = block.mlp[0]
    assert isinstance(first, nn.Linear)
    assert torch.equal(first.weight, expected.weight)
    parts = {name.split(".")[0] for name in block.state_dict()}
    assert parts == {"norm_attention", "attention", "norm_mlp", "mlp"}
    with_context = TransformerBlock(ViTSize(width=8, heads=2), context_width=6)
    added = set(with_context.state_dict()) - set(block.state_dict())
    assert {name.split(".")[0] for name in added} == {"norm_cross", "cross_attention"}


def test_a_context_too_many_or_too_few_is_refused() -> None:
    size, x = ViTSize(width=8, heads=2), torch.zeros(1, 2, 8)
    with pytest.raises(ValueError, match="give it a context_width"):
        TransformerBlock(size)(x, x)
    with pytest.raises(ValueError, match="give it a context"):
        TransformerBlock(size, context_width=8)(x)


def test_residual_branches_shrink_with_their_number() -> None:
    size = ViTSize(width=8, heads=2)
    for context_width, branches in ((None, 4), (6, 6)):
        torch.manual_seed(0)
        pair = [TransformerBlock(size, context_width=context_width) for _ in range(2)]
        blocks = nn.ModuleList(pair)
        before = {name: x.clone() for name, x in blocks.state_dict().items()}
        scale_residual_branches(blocks)
        ends = ("attention.out.weight", "mlp.2.weight")  # cross_attention.out.weight among them
        for name, weight in blocks.state_dict().items():
            factor = branches**-0.5 if name.endswith(ends) else 1.0
            torch.testing.assert_close(weight, factor * before[name])
