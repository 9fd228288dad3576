import pytest
import torch

from renderers.bounds import Bounds
from renderers.ray_sampling import (
    RaySampling,
    invert_histogram,
    merge_by_rank,
    merge_ranks,
    position_edges,
    positions_to_distance,
    smooth_weights,
    stratified_positions,
)
from renderers.resampling import importance_distances

CPU = torch.device("cpu")


def _bounds(near, far, shape=(1, 1)):
    one = torch.ones(shape)
    return Bounds(near * one, far * one, one.bool())


def test_one_position_falls_in_each_bin():
    positions = stratified_positions(2, 5, 8, CPU, torch.Generator().manual_seed(0))
    assert torch.equal((positions * 8).floor(), torch.arange(8.0).expand(2, 5, 8))
    midpoints = stratified_positions(1, 1, 4, CPU)
    torch.testing.assert_close(midpoints.flatten(), torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_positions_are_repeatable_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    first = stratified_positions(1, 4, 8, CPU, torch.Generator().manual_seed(3))
    second = stratified_positions(1, 4, 8, CPU, torch.Generator().manual_seed(3))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_disparity_spacing_has_equal_steps_of_inverse_distance():
    positions = torch.linspace(0, 1, 5).view(1, 1, 5)
    t = positions_to_distance(positions, _bounds(1.0, 100.0), "disparity")
    torch.testing.assert_close((1 / t).diff(), torch.full((1, 1, 4), -0.99 / 4))
    torch.testing.assert_close(t[..., [0, -1]].flatten(), torch.tensor([1.0, 100.0]))
    linear = positions_to_distance(positions, _bounds(1.0, 101.0), "distance")
    torch.testing.assert_close(linear.diff(), torch.full((1, 1, 4), 25.0))


def test_importance_samples_follow_the_histogram():
    weights = torch.tensor([0.1, 0.0, 0.6, 0.3]).view(1, 1, 4)
    edges = torch.tensor([0.0, 0.1, 0.5, 0.6, 1.0]).view(1, 1, 5)
    levels = stratified_positions(1, 1, 1000, CPU, torch.Generator().manual_seed(0))
    samples = invert_histogram(edges, weights, levels).flatten()
    assert torch.equal(samples, samples.sort().values)
    counts = torch.histogram(samples, edges.flatten()).hist
    torch.testing.assert_close(counts / 1000, weights.flatten(), atol=2e-3, rtol=0)
    inside = samples[(samples > 0.5) & (samples < 0.6)]
    assert inside.mean().item() == pytest.approx(0.55, abs=1e-3)


def test_weights_of_zero_give_uniform_samples():
    edges = torch.linspace(0, 1, 5).view(1, 1, 5)
    samples = invert_histogram(edges, torch.zeros(1, 1, 4), stratified_positions(1, 1, 8, CPU))
    torch.testing.assert_close(samples, stratified_positions(1, 1, 8, CPU), atol=1e-5, rtol=0)


def test_smoothing_takes_the_mean_of_neighbouring_maxima():
    weights = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 4)
    smoothed = smooth_weights(weights, padding=0.0).flatten()
    torch.testing.assert_close(smoothed, torch.tensor([0.5, 1.0, 0.5, 0.0]))


def test_edges_lie_halfway_and_span_the_interval():
    edges = position_edges(torch.tensor([[[0.2, 0.4, 0.8]]]))
    torch.testing.assert_close(edges.flatten(), torch.tensor([0.0, 0.3, 0.6, 1.0]))


def test_merging_keeps_order_and_carries_values():
    rng = torch.Generator().manual_seed(0)
    first = torch.rand(2, 3, 7, generator=rng).sort().values
    second = torch.rand(2, 3, 5, generator=rng).sort().values
    second[..., 0] = first[..., 2]  # a tie
    second = second.sort().values
    ranks = merge_ranks(first, second)
    merged = merge_by_rank(first, second, ranks)
    assert torch.equal(merged, torch.cat([first, second], -1).sort().values)
    assert torch.equal(merge_by_rank(first * 2, second * 2, ranks), merged * 2)


@pytest.mark.parametrize("spacing", ["distance", "disparity"])
@pytest.mark.parametrize("opaque", [False, True])
def test_the_importance_kernel_equals_the_plain_path(monkeypatch, spacing, opaque):
    rng = torch.Generator().manual_seed(0)
    sampling = RaySampling(9, 7, spacing)
    positions = stratified_positions(2, 70, 9, CPU, rng)
    density = torch.rand(2, 70, 9, generator=rng) * 8
    bounds = _bounds(0.7, 2.0, (2, 70))

    def draw():
        seeded = torch.Generator().manual_seed(1)
        return importance_distances(density, positions, bounds, sampling, seeded, opaque)

    fast = draw()
    monkeypatch.setattr("renderers.resampling.fast_path", lambda _: False)
    torch.testing.assert_close(fast, draw(), atol=1e-5, rtol=0)
    assert (fast.diff() >= 0).all()


def test_fine_samples_crowd_where_the_density_is():
    positions = stratified_positions(1, 1, 32, CPU)
    t = positions_to_distance(positions, _bounds(1.0, 2.0), "distance")
    density = torch.where((t > 1.4) & (t < 1.5), 100.0, 0.0)
    fine = importance_distances(density, positions, _bounds(1.0, 2.0), RaySampling(32, 64))
    near_surface = (fine - 1.41).abs() < 0.06
    assert near_surface.float().mean() > 0.7


def test_impossible_sample_counts_are_refused():
    with pytest.raises(ValueError, match="coarse is 0, it must be from 1 to 8,192"):
        RaySampling(0, 4)
    with pytest.raises(ValueError, match="log"):
        RaySampling(4, 4, "log")
