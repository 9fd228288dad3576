import math

import pytest
import torch

from models.blocks.vit import PatchEmbedding, Transformer, ViTSize, sine_positions


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
    with pytest.raises(ValueError, match=rf"width 512 is not a multiple of heads {heads}"):
        ViTSize(width=512, heads=heads)


def test_first_positions_are_sines_of_row_and_column() -> None:
    # Width 8: frequencies 1 and 100^(-1/2) = 0.1; row sines, row cosines, then the column's.
    positions = sine_positions(3, 8)
    row, column = 1.0, 2.0
    expected = [f(x * w) for x in (row, column) for f in (math.sin, math.cos) for w in (1.0, 0.1)]
    torch.testing.assert_close(positions[3 * 1 + 2], torch.tensor(expected))
