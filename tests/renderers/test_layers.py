import torch

from renderers.layers import Layers, merge_layers


def layers(count: int, rays: int) -> Layers:
    rng = torch.Generator().manual_seed(0)
    opacity = torch.rand(count, 1, rays, generator=rng)
    orders = [torch.randperm(count, generator=rng) + 1.0 for _ in range(rays)]
    near = torch.stack(orders, 1)[:, None]
    rgb = opacity[..., None] * torch.rand(count, 1, rays, 3, generator=rng)
    return Layers(rgb, opacity, opacity / near, near)


def test_each_ray_has_an_order_of_its_own() -> None:
    given = layers(4, 6)
    merged = merge_layers(given)
    for ray in range(6):
        light, rgb, disparity = 1.0, torch.zeros(3), 0.0
        for one in given.near[:, 0, ray].argsort():
            rgb += light * given.rgb[one, 0, ray]
            disparity += light * given.disparity[one, 0, ray]
            light *= 1 - given.opacity[one, 0, ray]
        torch.testing.assert_close(merged.rgb[0, 0, ray], rgb)
        torch.testing.assert_close(merged.disparity[0, 0, ray], disparity)
        torch.testing.assert_close(merged.opacity[0, 0, ray], 1 - light)
    assert torch.equal(merged.near[0], given.near.amin(0))


def test_the_order_they_are_given_in_does_not_matter() -> None:
    given, turn = layers(3, 5), torch.tensor([2, 0, 1])
    parts = (given.rgb, given.opacity, given.disparity, given.near)
    other = Layers(*(part[turn] for part in parts))
    torch.testing.assert_close(merge_layers(other).rgb, merge_layers(given).rgb)


def test_an_object_that_a_ray_misses_is_not_there() -> None:
    given = layers(2, 5)
    nothing = Layers(
        torch.cat([given.rgb[:1], torch.zeros(1, 1, 5, 3)]),
        torch.cat([given.opacity[:1], torch.zeros(1, 1, 5)]),
        torch.cat([given.disparity[:1], torch.zeros(1, 1, 5)]),
        torch.cat([given.near[:1], torch.full((1, 1, 5), torch.inf)]),
    )
    merged = merge_layers(nothing)
    torch.testing.assert_close(merged.rgb, given.rgb[:1])
    torch.testing.assert_close(merged.opacity, given.opacity[:1])
