from collections.abc import Callable

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.cli import hardware
from lightning_modules.cli.hardware import suited_precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, bool], None]:
    """Pretend to be on a machine with or without fast bfloat16 products and an accelerator."""

    def pretend(fast: bool, accelerated: bool) -> None:
        monkeypatch.setattr(hardware, "bf16_is_fast", lambda: fast)
        monkeypatch.setattr(hardware.torch.accelerator, "is_available", lambda: accelerated)

    return pretend


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_a_cpu_without_bfloat16_units_trains_in_float32_and_says_so(
    machine: Callable[[bool, bool], None], accelerator: str
) -> None:
    machine(False, False)
    chosen, why = suited_precision("bf16-mixed", accelerator)
    assert chosen == "32-true"
    assert why is not None
    assert "32-true instead of bf16-mixed" in why


@pytest.mark.parametrize("asked", ["16", "16-mixed", "16-true"])
def test_float16_is_refused(asked: str) -> None:
    with pytest.raises(DataError, match=f"trainer.precision is {asked}: float16 is not supported"):
        suited_precision(asked, "gpu")


@pytest.mark.parametrize(
    "asked", ["64-true", "bf16-true", "transformer-engine", "None", "nonsense"]
)
def test_what_batches_or_weights_can_not_be_cast_to_is_refused(asked: str) -> None:
    with pytest.raises(DataError, match=f"precision is {asked}, give bf16-mixed or 32-true\\."):
        suited_precision(asked, "cpu")


@pytest.mark.parametrize(
    ("fast", "accelerated", "accelerator", "asked"),
    [
        (True, False, "cpu", "bf16-mixed"),
        (False, True, "auto", "bf16-mixed"),
        (False, True, "cuda", "bf16-mixed"),
        (False, False, "cpu", "32-true"),
        (False, False, "cpu", "32"),
    ],
)
def test_what_the_hardware_can_do_stays(
    machine: Callable[[bool, bool], None],
    fast: bool,
    accelerated: bool,
    accelerator: str,
    asked: str,
) -> None:
    machine(fast, accelerated)
    assert suited_precision(asked, accelerator) == (asked, None)


RIGHT: dict[str, object] = {
    "accelerator": "cpu",
    "devices": 1,
    "nodes": 1,
    "strategy": "auto",
    "seed": 0,
}


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("accelerator", "foo", "--trainer.accelerator is 'foo', it must be one of"),
        ("accelerator", "", "--trainer.accelerator is ''"),
        ("devices", 0, "--trainer.devices is 0, it must be from 1"),
        ("devices", "0", "--trainer.devices is 0, it must be from 1"),
        ("devices", -3, "--trainer.devices is '-3'"),
        ("devices", "x", "--trainer.devices is 'x'"),
        ("devices", 10**9, "--trainer.devices is 1000000000"),
        ("nodes", 0, "--trainer.num_nodes is 0"),
        ("nodes", -1, "--trainer.num_nodes is -1"),
        ("strategy", "dpp", "--trainer.strategy is 'dpp', .* did you mean ddp"),
        ("strategy", "zzz", "--trainer.strategy is 'zzz', .* give auto or ddp"),
        ("seed", -1, "--seed_everything is -1"),
        ("seed", 2**32, "--seed_everything is 4294967296"),
    ],
)
def test_hardware_that_can_not_be_is_refused(setting: str, value: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        hardware.check_hardware(**RIGHT | {setting: value})


@pytest.mark.parametrize("devices", [1, "2", -1, "-1", "auto", [0, 1], "0,1", [0], "0,"])
def test_devices_are_taken_in_every_spelling(
    devices: object, machine: Callable[[bool, bool], None]
) -> None:
    machine(False, True)
    hardware.check_hardware(**RIGHT | {"accelerator": "auto", "devices": devices, "seed": True})


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
@pytest.mark.parametrize("devices", [-1, "-1", [0, 1], "0,1", [0], "0,"])
def test_numbers_of_gpus_are_refused_on_the_cpu(
    devices: object, accelerator: str, machine: Callable[[bool, bool], None]
) -> None:
    machine(False, False)
    with pytest.raises(DataError, match=r"which counts GPUs, and this run is on the CPU: give a"):
        hardware.check_hardware(**RIGHT | {"accelerator": accelerator, "devices": devices})


def test_a_tpu_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="is 'tpu', but PyTorch finds none here"):
        hardware.check_hardware(**RIGHT | {"accelerator": "tpu"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    for accelerator in ("gpu", "cuda"):
        with pytest.raises(DataError, match=f"is '{accelerator}', but PyTorch finds none here"):
            hardware.check_hardware(**RIGHT | {"accelerator": accelerator})
