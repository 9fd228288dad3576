"""The Triton kernels through Triton's compiler, as far as a machine without a GPU can take them."""

from typing import Any

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from renderers.cuda import kernel_points, kernel_rays, packing

pytestmark = pytest.mark.slow
NUMBERS = {
    **dict.fromkeys(("N", "R", "S", "H", "W", "tiles", "size"), "i32"),
    **dict.fromkeys(("contracted", "opaque", "weighted"), "i32"),
    **dict.fromkeys(("bias", "slope"), "fp32"),
    "counts": "*i32",
}
STORED = ("planes", "features", "d_features")
SHARED_BYTES = {80: 163 << 10, 90: 227 << 10}
"""Shared memory of a program, by compute capability: A100 and H100."""


def settings(exact: bool, middle: int) -> dict[str, Any]:
    sizes = {"C": 32, "K": 64, "F": 32, "MIDDLE": middle, "CP": 32, "KP": 64, "FP": 32}
    tile = packing.EXACT_TILE if exact else packing.TILE
    return {**sizes, "SIGMOID": True, "PRECISION": "ieee" if exact else "tf32", "M": tile}


def compiled(kernel: Any, kind: str, capability: int, constants: dict[str, Any]) -> Any:
    """The kernel for planes of a type, its assembly and its needs."""
    names = kernel.arg_names
    kinds = {
        **NUMBERS,
        **dict.fromkeys(STORED, f"*{kind}"),
        **dict.fromkeys(constants, "constexpr"),
    }
    signature = {name: kinds.get(name, "*fp32") for name in names}
    aligned = [["tt.divisibility", 16]]
    attributes = {(i,): aligned for i, name in enumerate(names) if signature[name][0] == "*"}
    values = {(names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature, values, attributes)
    warps = packing.EXACT_WARPS if constants["PRECISION"] == "ieee" else packing.WARPS
    options = {"num_warps": warps, "num_stages": 1}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


KERNELS = {
    "points_forward": kernel_points.points_forward,
    "points_backward": kernel_points.points_backward,
    "rays_forward": kernel_rays.rays_forward,
    "rays_backward": kernel_rays.rays_backward,
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("kind", "exact", "capability", "middle", "product"),
    [
        ("bf16", False, 90, 0, "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16"),
        ("bf16", False, 90, 2, "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16"),
        ("fp32", False, 90, 0, "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32"),
        ("fp32", True, 90, 0, "fma.rn.f32"),
        ("bf16", False, 80, 0, "mma.sync.aligned.m16n8k16.row.col.f32.bf16"),
    ],
)
def test_they_compile_to_the_products_they_are_meant_for(
    name: str,
    kind: str,
    exact: bool,
    capability: int,
    middle: int,
    product: str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = settings(exact, middle) | ({"FEATURES": True} if name == "rays_forward" else {})
    found = compiled(KERNELS[name], kind, capability, constants)
    assert found.metadata.shared <= SHARED_BYTES[capability]
    assert product in found.asm["ptx"]
    if capability == 90 and name.endswith("backward"):
        assert "add.v4.f32" in found.asm["ptx"]  # atomic adds of four channels
