import pytest
import torch
import torch.nn.functional as F

from models.blocks.equalized import ACTIVATION_GAIN, EqualizedConv, EqualizedLinear, leaky_relu


def test_layers_keep_unit_variance_at_initialisation() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 64, 16, 16)
    convolved = EqualizedConv(64, 64, 3)(x)[..., 1:-1, 1:-1]
    assert convolved.var().item() == pytest.approx(1, abs=0.15)
    mapped = EqualizedLinear(256, 256)(torch.randn(64, 256))
    assert mapped.var().item() == pytest.approx(1, abs=0.15)
    # E f(x)^2 = 2 * (1 + 0.2^2) / 2 = 1.04 for x ~ N(0, 1).
    assert leaky_relu(x).square().mean().item() == pytest.approx(1.04, abs=0.03)


def test_a_gain_before_the_activation_is_its_own() -> None:
    torch.manual_seed(0)
    plain = EqualizedConv(3, 4, 3)
    scaled = EqualizedConv(3, 4, 3, gain=ACTIVATION_GAIN)
    torch.nn.init.normal_(plain.bias)
    scaled.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(F.leaky_relu(scaled(x), 0.2), leaky_relu(plain(x)))


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_a_learning_rate_multiplier_changes_what_a_step_does_and_not_the_start(
    multiplier: float,
) -> None:
    torch.manual_seed(0)
    layer = EqualizedLinear(200, 300, multiplier, bias=1.0)
    x = torch.randn(100, 200)
    before = layer(x).detach()
    assert before.mean().item() == pytest.approx(1, abs=0.05)
    assert before.var().item() == pytest.approx(1, abs=0.1)
    with torch.no_grad():  # a step of Adam moves every parameter by the learning rate
        layer.weight += 0.1
        layer.bias += 0.1
    expected = multiplier * 0.1 * (x.sum(1, keepdim=True) / 200**0.5 + 1)
    torch.testing.assert_close(layer(x) - before, expected.expand(-1, 300), atol=1e-5, rtol=1e-3)
