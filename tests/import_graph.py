"""Imports of a source tree, read from its text: also those inside functions, and modules that are
named in `import_module("...")`."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from operator import eq
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """A module imports another, at a line of its file (relative to the root of the tree)."""

    module: str
    target: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


Arrows = dict[str, dict[str, Import]]
"""An import by where it starts and where it ends."""


@dataclass(frozen=True)
class ImportGraph:
    """The imports between the modules of some packages in `root`, and of what is not theirs."""

    root: Path
    packages: tuple[str, ...]

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of every module."""
        paths = (path for name in self.packages for path in (self.root / name).rglob("*.py"))
        return {self._name(path): path for path in sorted(paths)}

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of every module."""
        return [found for module in self.files for found in self._imports_of(module)]

    def node(self, module: str) -> str:
        """The room a module is in: its package, or its second name inside `lightning_modules`."""
        parts = module.split(".")
        return ".".join(parts[:2]) if parts[0] == "lightning_modules" else parts[0]

    def circles(self) -> list[list[Import]]:
        """Circles of rooms that import each other, the shortest through every room in one.

        Each is given by an import for every arrow.
        """
        arrows: Arrows = {}
        for found in self.imports:
            start, end = self.node(found.module), self.node(found.target)
            if start != end and found.target.split(".")[0] in self.packages:
                arrows.setdefault(start, {}).setdefault(end, found)
        found_circles: dict[frozenset[str], list[Import]] = {}
        for start in arrows:
            path = _shortest(arrows, start, partial(eq, start))
            if path:
                rooms = frozenset(self.node(found.module) for found in path)
                found_circles.setdefault(rooms, path)
        return list(found_circles.values())

    def ways_to(self, start: str, package: str) -> list[list[Import]]:
        """The shortest chain of imports from each module in room `start` to a foreign package."""
        arrows: Arrows = {}
        for found in self.imports:
            for name in accumulate(found.target.split("."), "{}.{}".format):  # packages first
                arrows.setdefault(found.module, {}).setdefault(name, found)
        modules = [module for module in self.files if self.node(module) == start]
        ways = (
            _shortest(arrows, module, lambda target: target.split(".")[0] == package)
            for module in modules
        )
        return [way for way in ways if way]

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports_of(self, module: str) -> Iterator[Import]:
        path = self.files[module]
        file = path.relative_to(self.root).as_posix()
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(), file)):
            if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
                for target in self._targets(node, package):
                    yield Import(module, target, file, node.lineno)

    def _targets(self, node: ast.Import | ast.ImportFrom | ast.Call, package: str) -> Iterator[str]:
        """Modules that a statement or call imports; `from a import b` may mean the module a.b."""
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above * bool(node.level), *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in self.files else base
        elif _called(node) in ("import_module", "__import__"):
            name = _text(node.args[0])
            if name:
                yield name


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(argument: ast.expr) -> str:
    """A string, or the beginning of a formatted one up to its last dot; else nothing."""
    if isinstance(argument, ast.JoinedStr) and argument.values:
        return _text(argument.values[0]).rpartition(".")[0]
    value = argument.value if isinstance(argument, ast.Constant) else None
    return value if isinstance(value, str) else ""


def _shortest(arrows: Arrows, start: str, arrived: Callable[[str], bool]) -> list[Import]:
    """The shortest path of at least one arrow from `start` to where it has arrived."""
    paths: list[tuple[str, list[Import]]] = [(start, [])]
    seen: set[str] = set()
    for room, path in paths:  # grows meanwhile
        for target, found in arrows.get(room, {}).items():
            if arrived(target):
                return [*path, found]
            if target not in seen:
                seen.add(target)
                paths.append((target, [*path, found]))
    return []
