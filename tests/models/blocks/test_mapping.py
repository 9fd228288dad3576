import pytest
import torch

from models.blocks.mapping import MappingNetwork, class_means, truncate


def mapping(classes: int = 5, layers: int = 2) -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(16, classes, 32, layers)


def test_a_style_depends_on_latent_and_label() -> None:
    net = mapping()
    z = torch.randn(1, 16).expand(2, -1)
    same = net(z, torch.tensor([3, 3]))
    other = net(z, torch.tensor([3, 4]))
    assert same.shape == (2, 32)
    assert torch.equal(same[0], same[1])
    assert (other[0] - other[1]).abs().max() > 0.1
    moved = net(torch.randn(2, 16), torch.tensor([3, 3]))
    assert (moved[0] - moved[1]).abs().max() > 0.1


def test_only_the_direction_of_latents_and_embeddings_counts() -> None:
    net, z, labels = mapping(), torch.randn(4, 16), torch.tensor([0, 1, 2, 4])
    before = net(z, labels)
    torch.testing.assert_close(net(7 * z, labels), before)
    assert net.embedding is not None
    net.embedding.weight.data *= 7
    torch.testing.assert_close(net(z, labels), before)


def test_styles_start_with_unit_second_moment() -> None:
    net = MappingNetwork(128, 10, 256)
    w = net(torch.randn(64, 128), torch.randint(10, (64,)))
    assert w.square().mean().item() == pytest.approx(1, abs=0.2)


def test_without_classes_labels_are_not_looked_at() -> None:
    net, z = mapping(classes=0), torch.randn(2, 16)
    assert torch.equal(net(z, torch.tensor([0, 0])), net(z, torch.tensor([-1, 99])))
    assert net.layers[0].weight.shape == (32, 16)


def test_float32_even_under_autocast() -> None:
    net, z, labels = mapping(), torch.randn(2, 16), torch.tensor([0, 1])
    exact = net(z, labels)
    with torch.autocast("cpu", torch.bfloat16):
        w = net(z, labels)
    assert torch.equal(w, exact)


@pytest.mark.parametrize("layers", [1, 3])
def test_gradients_reach_every_weight(layers: int) -> None:
    net = mapping(layers=layers)
    assert len(net.layers) == layers
    net(torch.randn(8, 16), torch.arange(8) % 5).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_no_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="mapping of 0 layers"):
        mapping(layers=0)


def test_class_means_are_means_over_the_same_latents() -> None:
    net, labels = mapping(), torch.tensor([4, 0])
    means = class_means(net, labels, 10, torch.Generator().manual_seed(3))
    z = torch.randn(10, 16, generator=torch.Generator().manual_seed(3))
    expected = torch.stack([net(z, torch.full((10,), c)).mean(0) for c in (4, 0)])
    torch.testing.assert_close(means, expected)
    assert not means.requires_grad


def test_truncation_moves_to_the_mean() -> None:
    w, mean = torch.tensor([[1.0, 5.0], [3.0, -1.0]]), torch.tensor([1.0, 1.0])
    assert torch.equal(truncate(w, mean, 1.0), w)
    assert torch.equal(truncate(w, mean, 0.0), mean.expand(2, 2))
    assert torch.equal(truncate(w, mean, 0.5), torch.tensor([[1.0, 3.0], [2.0, 0.0]]))
    per_image = torch.tensor([[1.0, 1.0], [5.0, 1.0]])
    assert torch.equal(truncate(w, per_image, 0.5), torch.tensor([[1.0, 3.0], [4.0, 0.0]]))
