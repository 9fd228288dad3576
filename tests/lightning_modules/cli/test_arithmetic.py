import warnings
from collections.abc import Iterator

import pytest
import torch
from lightning.fabric.accelerators import cuda as lightning_cuda

from lightning_modules.cli.arithmetic import gpu_arithmetic, use_tensor_cores
from lightning_modules.cli.run_record import versions
from lightning_modules.inference.computing import whole_float32


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pretend that there is one; the settings are put back."""
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    yield
    torch.set_float32_matmul_precision(before[0])
    cudnn.allow_tf32, cudnn.benchmark = before[1:]


def test_without_a_gpu_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    use_tensor_cores()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.benchmark
    assert gpu_arithmetic() is versions()["gpu_arithmetic"] is None


@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_tensor_cores_are_used_and_the_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use_tensor_cores()
        used = {"products": "tf32", "convolutions": "tf32", "cudnn_benchmark": True}
        assert gpu_arithmetic() == used
        # Read by torch's older names and its newer ones, and by Lightning, none of which complains.
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        monkeypatch.setattr(lightning_cuda, "_is_ampere_or_later", lambda device: True)
        lightning_cuda._check_cuda_matmul_precision(torch.device("cuda"))
    assert versions()["gpu_arithmetic"] == used
    with whole_float32("cuda"):
        assert gpu_arithmetic() == used | {"products": "float32", "convolutions": "float32"}
    assert gpu_arithmetic() == used
