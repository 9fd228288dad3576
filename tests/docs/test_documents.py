"""Documents: short lines, and paths, links and names of code that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
PICTURES = sorted((ROOT / "docs" / "images").iterdir())
LONGEST_LINE = 120
LARGEST_PICTURE = 150_000

PACKAGES = "lightning_modules|datamodules|models|renderers"
PATH = re.compile(rf"(?<![\w./-])(?:{PACKAGES}|benchmarks|configs|docs|tests)/[\w./-]*")
PYTHON_FILE = re.compile(r"`([\w./-]+\.py)`")
MODULE = re.compile(rf"(?<![\w./-])(?:{PACKAGES})(?:\.\w+)+")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMELESS_PICTURE = re.compile(r"!\[\s*\]\(")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def faults(text: str, folder: Path, root: Path = ROOT) -> list[str]:
    """Faults of a document in a folder: long lines, and what is named and not there."""
    found = [
        f"line {number} has {len(line)} columns"
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > LONGEST_LINE and not line.startswith("|")  # rows of tables can't be broken
    ]
    named = {path.rstrip(".") for path in [*PATH.findall(text), *PYTHON_FILE.findall(text)]}
    found += [f"there is no {path}" for path in sorted(named) if not (root / path).exists()]
    modules = sorted(set(MODULE.findall(text)))
    found += [f"there is no {name}" for name in modules if not is_defined(name, root)]
    links = (link.partition("#")[0] for link in LINK.findall(text) if "://" not in link)
    found += [f"{link} leads nowhere" for link in links if not (folder / link).exists()]
    found += ["a picture has no text beside it"] * len(NAMELESS_PICTURE.findall(text))
    return found


def is_defined(name: str, root: Path) -> bool:
    """Whether a dotted name is that of a package, a module, or a class or function of one."""
    path = root / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = path.parent.with_suffix(".py")
    if not module.is_file():
        module = path.parent / "__init__.py"
    definition = rf"\b(class|def|import) .*\b{path.name}\b"
    return module.is_file() and re.search(definition, module.read_text()) is not None


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_its_lines_are_short_and_what_it_names_is_there(path: Path) -> None:
    found = faults(path.read_text(), path.parent)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"first\n{'x' * 121}\n", "line 2 has 121 columns"),
        ("see `models/scene.py`.", "there is no models/scene.py"),
        ("see `losses/pixel.py`", "there is no losses/pixel.py"),
        ("    make train-gan CONFIG=configs/gan.yaml", "there is no configs/gan.yaml"),
        ("`models.scenes.Scene` is", "there is no models.scenes.Scene"),
        ("[shards](shards.md#tokens)", "shards.md leads nowhere"),
        ("![](docs/images/gan.jpg)", "a picture has no text beside it"),
    ],
    ids=["long line", "path", "part of a path", "configuration", "class", "link", "no text"],
)
def test_a_fault_is_found(text: str, fault: str) -> None:
    assert faults(text, ROOT) == [fault]


def test_what_is_there_is_no_fault() -> None:
    names = "`models/scenes.py`, models/, `models.scenes.Scenes`, `models.priors.`"
    assert faults(f"{names}; [shards](docs/shards.md).", ROOT) == []


def test_comments_of_configurations_are_short() -> None:
    long = [
        f"{relative(path)}: {line}"
        for path in CONFIGS
        for line in path.read_text().splitlines()
        if line.lstrip().startswith("#") and len(line) > LONGEST_LINE
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("path", PICTURES, ids=relative)
def test_a_picture_is_small_and_shown(path: Path) -> None:
    assert path.stat().st_size <= LARGEST_PICTURE
    shown = {
        (document.parent / link).resolve()
        for document in DOCUMENTS
        for link in LINK.findall(document.read_text())
    }
    assert path in shown
