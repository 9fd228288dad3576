import torch

from models.blocks.resample import downsample


def test_a_constant_stays_constant_away_from_the_border() -> None:
    small = downsample(torch.full((2, 3, 8, 12), 0.7))
    assert small.shape == (2, 3, 4, 6)
    torch.testing.assert_close(small[..., 1:-1, 1:-1], torch.full((2, 3, 2, 4), 0.7))
    # At a corner a tap of 1/8 a side reaches the zeros outside: 0.7 * (7/8)^2.
    torch.testing.assert_close(small[0, 0, 0, 0], torch.tensor(0.7 * 49 / 64))


def test_an_impulse_is_spread_by_the_binomial_taps() -> None:
    # Output i reads inputs 2i-1 .. 2i+2 with taps 1 3 3 1 (/ 8): input 3 is tap 2 of output 1 and
    # tap 0 of output 2, a side; channels stay apart.
    image = torch.zeros(1, 2, 8, 8)
    image[0, 1, 3, 3] = 64.0
    small = downsample(image)
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = torch.tensor([[9.0, 3.0], [3.0, 1.0]])
    torch.testing.assert_close(small[0, 1], expected)
    assert (small[0, 0] == 0).all()


def test_the_finest_stripes_vanish_instead_of_aliasing() -> None:
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)
    torch.testing.assert_close(downsample(stripes)[0, 0, :, 1:-1], torch.zeros(4, 2))
