"""What is stored beside a run: its settings, and the versions of the source and the packages."""

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from datamodules.errors import DataError
from datamodules.files import replacing, write_json
from datamodules.places import results_in
from lightning_modules.cli.arithmetic import gpu_arithmetic
from lightning_modules.inference.provenance import git_revision
from renderers.cpu.precision import bf16_is_fast

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

FILES = ("config.yaml", "versions.json", "result.json")
FOLDERS = ("checkpoints", "sheets", "tensorboard")


def check_places(run: Path) -> None:
    """Refuse a run in which something of another kind, or a folder that can't be written to, is
    where a result will be, before there is a result to be lost.

    Raises:
        DataError: one sentence with the path.
    """
    for name in FILES:
        if (run / name).is_dir():
            raise DataError(f"{run / name} is a folder, the run keeps a file there: move it away.")
    for name in FOLDERS:
        if (run / name).is_dir():
            with results_in(str(run / name), "--run"):
                continue
        if os.path.lexists(run / name):
            raise DataError(
                f"{run / name} is no folder, the run keeps its {name} there: move it away."
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
    """Git revision of the source tree, the machine and its arithmetic, and versions of Python,
    packages and CUDA."""
    return {
        "git": git_revision(Path(__file__).parents[2]),
        "machine": machine(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "gpu_arithmetic": gpu_arithmetic(),
        "packages": {name: _package_version(name) for name in PACKAGES},
    }


def machine() -> str:
    """Processor, threads of this process, how it multiplies bfloat16, and GPUs of this machine."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            (x.partition(":")[2].strip() for x in lines if x.startswith("model name")), name
        )
    units = "bf16 units" if bf16_is_fast() else "no bf16 units"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    threads = f"{torch.get_num_threads()} of {cores} cores"
    return ", ".join([f"{name} ({threads}, {units})", *gpus])


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
