"""A stage-1 checkpoint, its tokens and configurations of priors that are trained in a second."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from run_processes import Runs
from tiny_model import SIDE, tiny_model

from lightning_modules.tools.tokens import tokens
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.conditions import ConditionKinds
from models.priors.token_prior import TokenPrior
from models.vq3d import VQ3D

LAYOUT, SIZE = TokenLayout(4, 4), ViTSize(16, 1, 2)
MAX_IMAGES = 48
PRIORS = {
    "autoregressive": """
      class_path: models.priors.autoregressive.AutoregressivePrior
      init_args:
        dropout: 0.1""",
    "masked": """
      class_path: models.priors.masked.MaskedPrior
      init_args:
        decoding: {steps: 3}""",
}
CONFIG = f"""
trainer: {{{{accelerator: cpu, devices: 1, precision: 32-true, val_check_interval: 4}}}}
model:
  class_path: lightning_modules.stage2.Stage2
  init_args:
    max_images: {MAX_IMAGES}
    ema_half_life: 20
    stage1: {{stage1}}
    prior: {{prior}}
        codes: 8
        layout: {{{{rows: 4, columns: 4, planes: 1}}}}
        size: {{{{width: 16, depth: 2, heads: 2}}}}
        kinds: {{{{classes: 1, size: true}}}}
    dropout: {{{{everything: 0.2}}}}
    optimizer: {{{{lr: 1.0e-2, warmup: 8}}}}
data:
  class_path: datamodules.token_datamodule.TokenDataModule
  init_args: {{{{root: {{root}}, batch_size: 4, val_batch_size: 3, lanes: 4}}}}
best_checkpoint: {{{{monitor: val/bits_per_token, mode: min}}}}
last_checkpoint: {{{{minutes: 0}}}}
scalars: {{{{every_images: 8}}}}
sheets: {{{{every_images: 16, images: 2}}}}
"""

Kind = Literal["autoregressive", "masked"]


def stage1_model(seed: int = 0) -> VQ3D:
    """An untrained model of 16 tokens that uses several of its 8 codes."""
    model = tiny_model(seed, patch=4)
    rng = torch.Generator().manual_seed(seed)
    model.calibrate(torch.rand(32, 3, SIDE, SIDE, generator=rng), rng)
    return model.eval().requires_grad_(False)


def write_stage1(path: Path, seed: int = 0) -> str:
    """The model as a checkpoint."""
    model = stage1_model(seed)
    weights = {f"ema.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights, "model": model.recipe()}, path)
    return str(path)


@dataclass(frozen=True)
class PriorRuns:
    """Files that runs of priors begin from, in `folder`; starts them as a user would.

    images: root of the image shards; stage1: checkpoint; tokens: root of its token shards.
    """

    folder: Path
    images: str
    stage1: str
    tokens: str

    @staticmethod
    def write(folder: Path, images: Path) -> "PriorRuns":
        stage1, root = write_stage1(folder / "stage1.ckpt"), str(folder / "tokens")
        tokens(stage1, str(images), root, batch_size=8)
        for kind, prior in PRIORS.items():
            text = CONFIG.format(stage1=stage1, root=root, prior=prior)
            (folder / f"{kind}.yaml").write_text(text)
        return PriorRuns(folder, str(images), stage1, root)

    def of(self, kind: Kind) -> Runs:
        """Runs of one of the priors on the tokens."""
        return Runs(self.folder / f"{kind}.yaml")

    def fit(self, kind: Kind, run: Path, *options: str) -> int:
        """Train in this process; returns the exit code."""
        return self.of(kind).fit(run, *options)


def result(run: Path) -> dict[str, Any]:
    """The figures of a finished run."""
    return json.loads((run / "result.json").read_text())


def images_of(runs: PriorRuns) -> list[str]:
    """Options to train on images, encoded on the fly."""
    data = {"root": runs.images, "resolution": SIDE, "batch_size": 4, "val_batch_size": 3}
    settings = {
        "class_path": "datamodules.shard_datamodule.ShardDataModule",
        "init_args": data | {"lanes": 4, "num_workers": 0},
    }
    return ["--data", json.dumps(settings)]


def tiny_prior(build: Callable[..., TokenPrior], classes: int = 3) -> TokenPrior:
    torch.manual_seed(0)
    return build(8, LAYOUT, SIZE, ConditionKinds(classes, size=True), dropout=0.1)
