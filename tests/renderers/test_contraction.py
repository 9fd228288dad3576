import torch

from renderers.contraction import CubeMap, contract, normalise_box, uncontract


def test_the_unit_cube_is_halved_and_infinity_reaches_the_border():
    inside = torch.tensor([[0.3, -0.9, 1.0]])
    torch.testing.assert_close(contract(inside), inside / 2)
    far = contract(torch.tensor([[1e6, 0.0, -5e5]]))
    torch.testing.assert_close(far, torch.tensor([[1.0, 0.0, -0.5]]), atol=1e-5, rtol=0)


def test_a_point_at_distance_four_goes_to_seven_eighths():
    # (2 - 1/4) / 2 along the longest axis, the direction is kept.
    torch.testing.assert_close(
        contract(torch.tensor([[4.0, 2.0, 0.0]])), torch.tensor([[0.875, 0.4375, 0.0]])
    )


def test_uncontract_inverts_inside_and_outside():
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(1000, 3, generator=rng) * 5
    torch.testing.assert_close(uncontract(contract(points)), points, rtol=1e-4, atol=1e-5)
    assert uncontract(torch.ones(1, 3)).isfinite().all()


def test_gradients_are_finite_at_the_origin_and_continuous_at_the_cube():
    points = torch.tensor([[0.0, 0, 0], [0.999, 0, 0], [1.001, 0, 0]], requires_grad=True)
    contract(points)[:, 0].sum().backward()
    torch.testing.assert_close(points.grad[:, 0], torch.full((3,), 0.5), atol=2e-3, rtol=0)


def test_normalise_box_divides_by_half_the_side():
    points = torch.tensor([[1.0, 0.5, -2.0]])
    expected = torch.tensor([[0.5, 1.0, -1.0]])
    torch.testing.assert_close(normalise_box(points, torch.tensor([2.0, 0.5, 2.0])), expected)


def test_a_map_into_the_cube_divides_and_contracts():
    points = torch.tensor([[[1.0, 0.5, -2.0]], [[4.0, 2.0, 0.0]]])
    assert CubeMap()(points) is points
    torch.testing.assert_close(CubeMap(2.0)(points), points / 2)
    boxes = torch.tensor([[1.0, 2.0, 4.0], [2.0, 2.0, 2.0]])
    expected = torch.tensor([[[1.0, 0.25, -0.5]], [[2.0, 1.0, 0.0]]])
    torch.testing.assert_close(CubeMap(boxes)(points), expected)
    torch.testing.assert_close(CubeMap(boxes, contracted=True)(points), contract(expected))
