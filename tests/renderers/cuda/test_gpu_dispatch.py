import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from renderers import dispatch
from renderers.cuda import packing
from renderers.triplane_mlp import MLPWeights, triplane_mlp

SHAPES = ((16, 8), (16,), (4, 16), (4,))


@pytest.fixture(autouse=True)
def _forget_trials() -> None:
    dispatch._trial.cache_clear()


def test_tensors_on_a_cpu_and_those_without_memory_are_not_for_kernels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for device in ("cpu", "meta"):
            weights = [torch.zeros(shape, device=device) for shape in SHAPES]
            planes = torch.zeros(1, 3, 8, 4, 4, device=device)
            assert not dispatch.gpu_path(planes, weights, "sigmoid")
        with FakeTensorMode():
            weights = [torch.zeros(shape, device="cuda") for shape in SHAPES]
            planes = torch.zeros(1, 3, 8, 4, 4, device="cuda")
            assert not dispatch.gpu_path(planes, weights, "sigmoid")
            points = torch.zeros(1, 5, 3, device="cuda")
            features = triplane_mlp(planes, points, MLPWeights(*weights), "sigmoid")[1]
            assert features.device.type == "cuda"


def test_kernels_that_cannot_run_are_told_once() -> None:
    # Triton has no compiler for a CPU.
    trial = (torch.device("cpu"), torch.float32, SHAPES, "sigmoid", False)
    with pytest.warns(RuntimeWarning, match=r"unavailable on cpu .*falls back to plain PyTorch"):
        assert not dispatch._trial(*trial)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not dispatch._trial(*trial)


def test_nothing_needs_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith("renderers.cuda"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    dispatch.kernels.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"ModuleNotFoundError.*triton"):
        assert not dispatch._trial(torch.device("cpu"), torch.float32, SHAPES, "linear", False)
    dispatch.kernels.cache_clear()


def test_programs_are_few_for_each_processor_and_none_without_a_tile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimpleNamespace(multi_processor_count=10)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    counts = [packing.programs(torch.device("cuda"), tiles) for tiles in (1000, 7, 0)]
    assert counts == [10 * packing.PROGRAMS_PER_PROCESSOR, 7, 0]


def test_products_are_exact_unless_asked_otherwise() -> None:
    weights = [torch.zeros(shape) for shape in SHAPES]
    planes = torch.zeros(1, 3, 8, 4, 4)
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        for precision, expected in (("ieee", "ieee"), ("tf32", "tf32")):
            torch.backends.cuda.matmul.fp32_precision = precision
            found = [packing.constants(x, weights, "linear") for x in (planes, planes.bfloat16())]
            assert [x["PRECISION"] for x in found] == [expected, "tf32"]
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
