import pytest
import torch
from reference import sample_planes

from renderers import dispatch
from renderers.triplane import KERNELS, sample_triplane


def _planes(batch, channels, height, width, dtype, channels_last=True):
    rng = torch.Generator().manual_seed(0)
    planes = torch.randn(batch, 3, channels, height, width, generator=rng).to(dtype)
    if channels_last:
        planes = planes.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    return planes.requires_grad_()


def _points(batch, count):
    # A third of the points lie outside the cube.
    return torch.rand(batch, count, 3, generator=torch.Generator().manual_seed(1)) * 2.6 - 1.3


def _values_and_gradient(function, planes, points):
    features = function(planes, points)
    grad = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(features, planes, grad.to(features.dtype))
    return features.float(), gradient.float()


@pytest.fixture(params=["kernel", "plain"])
def path(request, monkeypatch):
    """Both ways of the lookup; "plain" is what GPUs and machines without numba take."""
    if request.param == "plain":
        monkeypatch.setattr("renderers.triplane.fast_path", lambda _: False)


SHAPES = [
    (2, 32, 16, 16),
    (1, 5, 7, 9),
    # Each number of channels has a kernel of its own, seconds to compile.
    *(
        pytest.param(s, marks=pytest.mark.slow)
        for s in [(2, 20, 8, 5), (3, 1, 4, 4), (1, 48, 1, 3)]
    ),
]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_float32_equals_the_reference(shape, channels_last):
    planes = _planes(*shape, torch.float32, channels_last)
    points = _points(shape[0], 1500)
    fast = _values_and_gradient(sample_triplane, planes, points)
    plain = _values_and_gradient(sample_planes, planes, points)
    torch.testing.assert_close(fast[0], plain[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast[1], plain[1], atol=2e-5, rtol=1e-5)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("shape", [*SHAPES, pytest.param((1, 8, 256, 256), marks=pytest.mark.slow)])
def test_bfloat16_is_the_reference_rounded_once(shape):
    planes = _planes(*shape, torch.bfloat16)
    points = _points(shape[0], 300)
    fast = _values_and_gradient(sample_triplane, planes, points)
    exact = planes.detach().float().requires_grad_()

    def rounded_gradient(p, x):
        # The incoming gradient is bfloat16 on both sides; the sums run in float32.
        features = sample_planes(p, x)
        return features + (features.bfloat16().float() - features).detach()

    features = rounded_gradient(exact, points)
    grad = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(features, exact, grad.bfloat16().float())
    torch.testing.assert_close(fast[0], features, atol=1e-5, rtol=2**-7)
    torch.testing.assert_close(fast[1], gradient, atol=1e-4, rtol=2**-7)


def test_planes_interleaved_by_a_convolution_are_read_in_place():
    # A channels-last (B, 3 C, H, W) tensor seen as (B, 3, C, H, W), as a backbone produces it.
    whole = torch.randn(2, 3 * 16, 6, 8).contiguous(memory_format=torch.channels_last)
    planes = whole.unflatten(1, (3, 16)).requires_grad_()
    points = _points(2, 400)
    fast = _values_and_gradient(sample_triplane, planes, points)
    plain = _values_and_gradient(sample_planes, planes, points)
    torch.testing.assert_close(fast, plain, atol=2e-5, rtol=1e-5)
    assert dispatch.kernels(KERNELS).as_rows(planes).data_ptr() == whole.data_ptr()


def test_the_gradient_does_not_depend_on_how_threads_share_it():
    planes, points, threads = _planes(1, 32, 9, 7, torch.float32), _points(1, 800), []
    before = torch.get_num_threads()
    try:
        for count in (1, 4):  # four threads split the channels of a single batch element
            torch.set_num_threads(count)
            threads.append(_values_and_gradient(sample_triplane, planes, points))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(threads[0], threads[1], atol=0, rtol=0)


@pytest.mark.parametrize(("plane", "constant"), [(0, 2), (1, 1), (2, 0)])
def test_a_plane_varies_along_its_two_axes_only(plane, constant):
    planes = torch.zeros(1, 3, 1, 8, 8)
    planes[:, plane] = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    points = torch.rand(1, 50, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    original = sample_triplane(planes, points)
    for axis in range(3):
        moved = points.clone()
        moved[..., axis] += 0.3
        changed = (sample_triplane(planes, moved) - original).abs().max() > 1e-3
        assert changed == (axis != constant)


def test_the_first_axis_runs_along_the_width():
    planes = torch.zeros(1, 3, 1, 4, 4)
    planes[0, 0, 0, :, 3] = 1.0  # plane (x, y), last column: large x
    points = torch.tensor([[[0.75, -0.2, 0.0], [-0.75, 0.2, 0.0]]])
    torch.testing.assert_close(sample_triplane(planes, points).flatten(), torch.tensor([1.0, 0.0]))


def test_outside_is_zero_and_broken_points_do_no_harm():
    planes = torch.ones(1, 3, 2, 4, 4)
    points = torch.tensor([[[5.0, 5, 5], [-9, 0, 0], [float("nan"), 0, 0], [float("inf"), 0, 0]]])
    features = sample_triplane(planes, points)[0, :, 0]
    # Where only x is outside, the plane (y, z) still counts.
    torch.testing.assert_close(features, torch.tensor([0.0, 1.0, 1.0, 1.0]))


def test_gradients_reach_every_plane_and_the_points():
    planes = _planes(1, 4, 8, 8, torch.float32)
    points = (torch.rand(1, 30, 3) - 0.5).requires_grad_()
    sample_triplane(planes, points).square().sum().backward()
    assert (planes.grad.abs().amax((0, 2, 3, 4)) > 0).all()
    assert (points.grad.abs().sum(1) > 0).all()


def test_double_backward_equals_the_reference():
    planes, points = _planes(1, 4, 6, 6, torch.float32), _points(1, 50)

    def second_order(function):
        value = function(planes, points).pow(3).sum()
        (grad,) = torch.autograd.grad(value, planes, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), planes)[0]

    torch.testing.assert_close(
        second_order(sample_triplane), second_order(sample_planes), rtol=1e-4, atol=1e-2
    )


def test_no_points_give_no_features_and_no_gradient():
    planes = _planes(2, 8, 4, 4, torch.bfloat16)
    features = sample_triplane(planes, torch.zeros(2, 0, 3))
    assert features.shape == (2, 0, 8)
    features.sum().backward()
    assert not planes.grad.any()


def test_without_numba_a_warning_comes_once_and_the_result_stays(monkeypatch):
    def refuse(name):
        raise ImportError("no numba here")

    planes, points = _planes(1, 4, 8, 8, torch.float32), _points(1, 30)
    expected = sample_triplane(planes, points)
    dispatch.available.cache_clear()
    monkeypatch.setattr(dispatch, "import_module", refuse)
    try:
        with pytest.warns(RuntimeWarning, match="no numba here") as caught:
            results = [sample_triplane(planes, points) for _ in range(2)]
        assert len(caught) == 1
    finally:
        dispatch.available.cache_clear()
    torch.testing.assert_close(results, [expected, expected])


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="planes must be"):
        sample_triplane(torch.zeros(1, 2, 4, 8, 8), torch.zeros(1, 5, 3))
    with pytest.raises(ValueError, match="points must be"):
        sample_triplane(torch.zeros(2, 3, 4, 8, 8), torch.zeros(1, 5, 3))
