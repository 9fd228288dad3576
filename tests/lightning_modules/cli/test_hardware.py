import pytest
import torch

from lightning_modules.cli.hardware import suited_strategy

FINDS_UNUSED = "ddp_find_unused_parameters_true"


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), ("2", 1), ([0, 1], 1), ("0,1", 1), (1, 4)])
@pytest.mark.parametrize("asked", ["auto", "ddp"])
def test_several_processes_with_discriminators_find_unused_parameters(
    asked: str, devices: object, nodes: int
) -> None:
    assert suited_strategy(asked, True, devices, nodes) == FINDS_UNUSED
    assert suited_strategy(asked, False, devices, nodes) == asked


@pytest.mark.parametrize(("count", "expected"), [(8, FINDS_UNUSED), (1, "auto")])
def test_devices_found_by_lightning_count(
    count: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    assert suited_strategy("auto", True, "auto", 1) == expected


def test_one_process_and_a_strategy_by_name_stay() -> None:
    assert suited_strategy("auto", True, 1, 1) == "auto"
    assert suited_strategy("ddp_static_graph", True, 8, 1) == "ddp_static_graph"
