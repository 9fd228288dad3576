"""What is stored beside a run: its settings, and the versions of the source and the packages."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from datamodules.files import replacing, write_json
from lightning_modules.inference.provenance import git_revision

PACKAGES = (
    "wild3d",
    "torch",
    "torchvision",
    "lightning",
    "webdataset",
    "numpy",
    "numba",
    "xformers",
    "torchmetrics",
    "jsonargparse",
)


class SaveRunConfig(SaveConfigCallback):
    """Stores the resolved configuration and the versions behind each launch of a run.

    Once training begins: a launch that is refused must not replace what belongs to the run.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Store them (rank 0)."""
        if trainer.is_global_zero:
            self.save_config(trainer, pl_module, "fit")

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write `config.yaml` and `versions.json` into the run directory."""
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.config.clone()
        config.ckpt_path = None  # the run is continued with its own, and validated with its best
        path = folder / self.config_filename
        with replacing(path) as partial:
            self.parser.save(config, partial, skip_unset=False, overwrite=True)
        write_json(folder / "versions.json", versions())


def versions() -> dict[str, Any]:
    """Git revision of the source tree, and versions of Python, packages and CUDA."""
    return {
        "git": git_revision(Path(__file__).parents[2]),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "packages": {name: _package_version(name) for name in PACKAGES},
    }


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
