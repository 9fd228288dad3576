"""The disk cache of kernels follows every source that they are compiled of."""

import ast
import importlib.util
import shutil
from pathlib import Path

import pytest

pytest.importorskip("numba")

from renderers.cpu import kernel_lanes

HELPERS = Path(kernel_lanes.__file__).parent
ROOT = HELPERS.parents[1]
SOURCES = [
    path
    for folder in (HELPERS, ROOT / "models" / "blocks" / "cpu")
    for path in sorted(folder.glob("*.py"))
    if "@compiled" in path.read_text()
]


def stamp_of(folder: Path) -> int:
    """The stamp that `kernel_lanes` has in a copy of its folder."""
    spec = importlib.util.spec_from_file_location("copied_lanes", folder / "kernel_lanes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SOURCE_STAMP


@pytest.mark.parametrize("changed", ["openmp.py", "kernel_vectors.py", "triplane_mlp_layers.py"])
def test_the_stamp_changes_with_every_helper(changed: str, tmp_path: Path) -> None:
    copy = shutil.copytree(HELPERS, tmp_path / "cpu", ignore=shutil.ignore_patterns("__pycache__"))
    assert stamp_of(copy) == kernel_lanes.SOURCE_STAMP
    path = copy / changed
    path.write_text(path.read_text() + "\n# edited\n")
    assert stamp_of(copy) != kernel_lanes.SOURCE_STAMP


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_kernels_hold_the_stamp_and_import_helpers_that_it_covers(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name and name.split(".")[0] in ("renderers", "models")}
    assert all(name.startswith("renderers.cpu") for name in ours)
    makers = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    kernels = [
        (maker, kernel) for maker in makers for kernel in ast.walk(maker) if compiled(kernel)
    ]
    assert len(kernels) == path.read_text().count("@compiled")
    for maker, kernel in kernels:
        assert "stamp = SOURCE_STAMP" in ast.unparse(maker)
        assert any(isinstance(node, ast.Name) and node.id == "stamp" for node in ast.walk(kernel))


def compiled(node: ast.AST) -> bool:
    """Whether a node is a function with the decorator `compiled`."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(ast.unparse(decorator) == "compiled" for decorator in decorators)
