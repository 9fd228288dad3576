"""Imports run downwards only: tools -> evaluation -> inference -> models -> renderers."""

from pathlib import Path

import pytest
from import_graph import ImportGraph

ROOT = Path(__file__).parents[1]
PACKAGES = ("renderers", "models", "datamodules", "lightning_modules")
SYSTEMS = ("stage1", "stage2", "gan", "classifier", "depth")
PARTS = ("adversarial", "losses", "metrics", "pictures", "training")


def inside(*rooms: str) -> tuple[str, ...]:
    return tuple(f"lightning_modules.{room}" for room in rooms)


FORBIDDEN = {
    "renderers": ("models", "datamodules", "lightning_modules"),
    "models": ("datamodules", "lightning_modules"),
    "datamodules": ("models", "lightning_modules"),
    "lightning_modules.inference": inside("evaluation", "tools", "cli", *SYSTEMS),
    "lightning_modules.evaluation": inside("tools", "cli"),
    "lightning_modules.labelling": inside("evaluation", "tools", "cli", *SYSTEMS),
    "lightning_modules.tools": inside("cli"),
    "lightning_modules.callbacks": inside("tools", "cli"),
    **dict.fromkeys(inside(*SYSTEMS), inside("tools", "cli")),
    **dict.fromkeys(inside(*PARTS), inside("tools", "cli", *SYSTEMS)),
}
"""Rooms that a room does not import."""


def faults(root: Path) -> list[str]:
    """Every import that runs upwards, with the rule it breaks."""
    graph = ImportGraph(root, PACKAGES)
    found = []
    for one in graph.imports:
        room = graph.node(one.module)
        found += [
            f"{one}: {room} imports nothing of {above}"
            for above in FORBIDDEN.get(room, ())
            if f"{one.target}.".startswith(f"{above}.")
        ]
    for circle in graph.circles():
        rooms = " -> ".join(graph.node(one.module) for one in circle)
        found.append(f"{'; '.join(map(str, circle))}: {rooms} is a circle")
    for way in graph.ways_to("lightning_modules.inference", "lightning"):
        found.append(f"{'; '.join(map(str, way))}: lightning_modules.inference needs no Lightning")
    return found


def test_no_import_runs_upwards() -> None:
    found = faults(ROOT)
    assert not found, "\n".join(found)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


GOOD = {
    "renderers/rays.py": "import torch\n",
    "models/field.py": "from renderers import rays\n",
    "lightning_modules/gan.py": "import lightning\nfrom lightning_modules.losses import pixel\n",
    "lightning_modules/losses/pixel.py": "from models.field import Field\n",
    "lightning_modules/inference/loading.py": "import models.field\n",
    "lightning_modules/tools/mesh.py": "from lightning_modules.inference.loading import load\n",
    "lightning_modules/cli/main.py": "import_module(f'lightning_modules.tools.{verb}')\n",
}


def test_a_tree_whose_imports_run_downwards_has_no_faults(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        (
            "renderers/rays.py",
            "import torch\nfrom models.field import Field\n",
            "renderers/rays.py:2 imports models.field: renderers imports nothing of models",
        ),
        (
            "lightning_modules/inference/loading.py",
            "def load():\n    import math\n    from lightning_modules import tools\n",
            "lightning_modules/inference/loading.py:3 imports lightning_modules.tools: "
            "lightning_modules.inference imports nothing of lightning_modules.tools",
        ),
        (
            "lightning_modules/losses/pixel.py",
            "from ..gan import GAN\n",
            "lightning_modules/losses/pixel.py:1 imports lightning_modules.gan: "
            "lightning_modules.losses imports nothing of lightning_modules.gan",
        ),
        (
            "models/field.py",
            "from importlib import import_module\nimport_module('lightning_modules.gan')\n",
            "models/field.py:2 imports lightning_modules.gan: "
            "models imports nothing of lightning_modules",
        ),
        (
            "lightning_modules/tools/mesh.py",
            "import_module(f'lightning_modules.cli.{name}')\n",
            "lightning_modules/tools/mesh.py:1 imports lightning_modules.cli: "
            "lightning_modules.tools imports nothing of lightning_modules.cli",
        ),
    ],
    ids=["upwards", "in a function", "relative", "by name", "by formatted name"],
)
def test_an_upward_import_is_found(file: str, text: str, fault: str, tmp_path: Path) -> None:
    write(tmp_path, GOOD | {file: text, "lightning_modules/tools/__init__.py": ""})
    assert fault in faults(tmp_path)


def test_a_circle_is_found_with_an_import_for_every_arrow(tmp_path: Path) -> None:
    back = {"lightning_modules/training/ema.py": "from lightning_modules.pictures import drawing\n"}
    back["lightning_modules/pictures/drawing.py"] = "import lightning_modules.metrics.image\n"
    back["lightning_modules/metrics/image.py"] = "import lightning_modules.training.ema\n"
    write(tmp_path, GOOD | back)
    (fault,) = faults(tmp_path)
    assert fault.count(" imports ") == 3
    assert fault.endswith("is a circle")
    assert (
        "lightning_modules/pictures/drawing.py:1 imports lightning_modules.metrics.image" in fault
    )


@pytest.mark.parametrize("file", ["models/field.py", "models/__init__.py"])
def test_lightning_behind_another_module_is_found(file: str, tmp_path: Path) -> None:
    lazily = "def fit():\n    from lightning import Trainer\n"
    write(tmp_path, GOOD | {file: lazily})
    (fault,) = faults(tmp_path)
    assert fault == (
        f"lightning_modules/inference/loading.py:1 imports models.field; {file}:2 imports "
        "lightning: lightning_modules.inference needs no Lightning"
    )
