from collections.abc import Callable

import pytest

from datamodules.errors import DataError
from lightning_modules.cli import run_precision
from lightning_modules.cli.run_precision import suited_precision


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, bool], None]:
    """Pretend to be on a machine with or without fast bfloat16 products and an accelerator."""

    def pretend(fast: bool, accelerated: bool) -> None:
        monkeypatch.setattr(run_precision, "bf16_is_fast", lambda: fast)
        monkeypatch.setattr(run_precision.torch.accelerator, "is_available", lambda: accelerated)

    return pretend


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_a_cpu_without_bfloat16_units_trains_in_float32_and_says_so(
    hardware: Callable[[bool, bool], None], accelerator: str
) -> None:
    hardware(False, False)
    chosen, why = suited_precision("bf16-mixed", accelerator)
    assert chosen == "32-true"
    assert why is not None
    assert "32-true instead of bf16-mixed" in why


@pytest.mark.parametrize("asked", ["16", "16-mixed", "16-true"])
def test_float16_is_refused(asked: str) -> None:
    with pytest.raises(DataError, match=f"trainer.precision is {asked}: float16 is not supported"):
        suited_precision(asked, "gpu")


@pytest.mark.parametrize(
    ("fast", "accelerated", "accelerator", "asked"),
    [
        (True, False, "cpu", "bf16-mixed"),
        (False, True, "auto", "bf16-mixed"),
        (False, True, "cuda", "bf16-mixed"),
        (False, False, "cpu", "32-true"),
        (False, False, "cpu", "64-true"),
    ],
)
def test_what_the_hardware_can_do_stays(
    hardware: Callable[[bool, bool], None],
    fast: bool,
    accelerated: bool,
    accelerator: str,
    asked: str,
) -> None:
    hardware(fast, accelerated)
    assert suited_precision(asked, accelerator) == (asked, None)
