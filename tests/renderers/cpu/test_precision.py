import platform
from types import SimpleNamespace

import pytest
import torch

from renderers.cpu import precision


@pytest.fixture
def fresh():
    precision.bf16_is_fast.cache_clear()
    yield
    precision.bf16_is_fast.cache_clear()


def _pretend(monkeypatch, machine, library, **instructions):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    operators = {} if library is None else {"_is_mkldnn_bf16_supported": lambda: library}
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**operators), raising=False)
    cpu = {f"_is_{name}_supported": lambda yes=yes: yes for name, yes in instructions.items()}
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**cpu))


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("machine", "library", "instructions", "expected"),
    [
        ("x86_64", True, {"amx_tile": True, "avx512_bf16": True}, True),
        ("x86_64", True, {"amx_tile": False, "avx512_bf16": False}, False),
        ("x86_64", False, {"amx_tile": False, "avx512_bf16": False}, False),
        ("x86_64", True, {}, False),
        ("x86_64", None, {"amx_tile": True}, False),
        ("aarch64", True, {}, True),
        ("arm64", None, {}, False),
    ],
)
def test_bfloat16_needs_the_library_and_the_instructions(
    monkeypatch, machine, library, instructions, expected
):
    _pretend(monkeypatch, machine, library, **instructions)
    assert precision.bf16_is_fast() is expected


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("machine", ["AMD64", "x86_64"])
@pytest.mark.parametrize(("seconds", "expected"), [(1e-3, True), (4e-3, False)])
def test_of_vectors_of_bfloat16_the_faster_type_is_measured(
    monkeypatch, machine, seconds, expected
):
    _pretend(monkeypatch, machine, True, amx_tile=False, avx512_bf16=True)
    clock = iter(_readings(seconds))
    monkeypatch.setattr(precision, "time", SimpleNamespace(process_time=lambda: next(clock)))
    assert precision.bf16_is_fast() is expected


def _readings(bf16):
    """A clock's readings before and after products of 2 ms in float32 and `bf16` s in bfloat16,
    each disturbed once."""
    now = 0.0
    for turn in range(6):
        for kind, fastest in enumerate((2e-3, bf16)):
            yield now
            now += fastest * (50 if turn == kind else 1)
            yield now


@pytest.mark.parametrize("is_fast", [False, True])
def test_products_leave_bfloat16_only_where_it_is_slow(monkeypatch, is_fast):
    monkeypatch.setattr(precision, "bf16_is_fast", lambda: is_fast)
    half = torch.bfloat16 if is_fast else torch.float32
    assert precision.product_type(torch.empty(0, dtype=torch.bfloat16)) == half
    assert precision.product_type(torch.empty(0, dtype=torch.float32)) == torch.float32
    elsewhere = torch.empty(0, dtype=torch.bfloat16, device="meta")
    assert precision.product_type(elsewhere) == torch.bfloat16
