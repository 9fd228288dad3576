"""The examples in docstrings print what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("datamodules", "lightning_modules", "models", "renderers")
NUMERICAL_CORE = ("renderers", "lightning_modules.losses", "models.blocks.quantizer")


def modules_with_examples() -> list[str]:
    """Names of our modules that hold an example; the others need not be imported."""
    files = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if b">>> " in path.read_bytes()
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_say(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0, "an example is where doctest does not look"
    assert found.failed == 0, "see what was printed"


def test_the_numerical_core_has_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    shown = [
        example.name
        for name in modules_with_examples()
        if name.startswith(NUMERICAL_CORE)
        for example in finder.find(import_module(name))
        if example.examples
    ]
    assert len(shown) >= 15, shown
