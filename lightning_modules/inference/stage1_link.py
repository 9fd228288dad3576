"""Which stage-1 checkpoint a prior belongs to, as its own checkpoint stores it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage1Link:
    """Where the stage-1 checkpoint was, and its weights.

    path: absolute, in checkpoints of earlier versions as the user gave it; hash: of the weights,
    see `weights_hash`; relative: from the folder of the prior's checkpoint, empty if unknown.
    """

    path: str
    hash: str
    relative: str = ""

    @staticmethod
    def made(stage1: str, weights: str, folder: Path) -> "Stage1Link":
        """That of a stage-1 checkpoint of these weights, stored in a checkpoint in `folder`."""
        # Links are followed: from a linked folder `..` leads to another place than it says.
        place = os.path.realpath(stage1)
        relative = os.path.relpath(place, os.path.realpath(folder))
        return Stage1Link(os.path.abspath(stage1), weights, relative)

    def places(self, prior: Path) -> list[Path]:
        """Files it may be, the likeliest first, for the prior's checkpoint where that is now."""
        folder = Path(os.path.realpath(prior)).parent
        named = [Path(os.path.normpath(folder / self.relative))] if self.relative else []
        return [place for place in [*named, Path(self.path)] if place.is_file()]
