import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.inference.computing import (
    chosen_device,
    chosen_precision,
    drawing,
    whole_float32,
)
from lightning_modules.inference.limits import Computing
from lightning_modules.inference.processes import Place


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that there are two."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("gpus")
def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert chosen_device("auto") == "cuda"
    assert chosen_device("cpu") == "cpu"
    assert Place(3, 4, 1).own_device("auto") == "cuda:1"
    Computing().check("--device", "cuda:1")


def test_auto_is_the_cpu_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto") == Place(3, 4, 1).own_device("auto") == "cpu"
    assert chosen_device("cuda:1") == "cuda:1"
    Computing().check("--device", "auto")
    with pytest.raises(DataError, match="PyTorch finds no cuda device here: give cpu, or leave"):
        Computing().check("--device", "cuda")


def test_bf16_is_for_gpus_unless_it_is_asked_for() -> None:
    assert [chosen_precision(None, device) for device in ("cpu", "cuda:1")] == ["float32", "bf16"]
    assert chosen_precision("float32", "cuda") == "float32"
    assert chosen_precision("bf16", "cpu") == "bf16"


def product() -> torch.dtype:
    ones = torch.ones(2, 2)
    return (ones @ ones).dtype


def test_drawing_is_rounded_and_what_is_measured_is_not() -> None:
    with drawing("cpu", "bf16"):
        assert product() == torch.bfloat16
        with whole_float32("cpu"):
            assert product() == torch.float32
            with drawing("cpu", "bf16"):
                assert product() == torch.bfloat16
    with drawing("cpu", "float32"):
        assert product() == torch.float32


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_whole_float32_leaves_a_gpu_no_tf32_and_gives_it_back() -> None:
    settings = []
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    def note() -> None:
        settings.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))

    def measure() -> None:
        with whole_float32("cuda:0"):
            note()
            raise InterruptedError

    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        with pytest.raises(InterruptedError):
            measure()
        note()
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
    assert settings == [("highest", False), ("high", True)]
