"""Candidates of an evaluation: checkpoints, and the scenes of theirs that are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from datamodules.augment import Framing
from datamodules.errors import DataError
from datamodules.manifest import Manifest
from datamodules.modalities import MASK, RAYS
from datamodules.rows import SplitRows
from lightning_modules.evaluation.condition_figures import Asked
from lightning_modules.evaluation.label_plan import label_plan
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.subjects import (
    DrawnSubjects,
    ReconstructedSubjects,
    Subjects,
    rows_of_labels,
)
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.scene_maker import SceneMaker, TokenDrawer
from lightning_modules.inference.stage1_scenes import Stage1Scenes
from models.autoencoder import TokenAutoencoder

Views = Literal["own", "photographs"]
Poses = Literal["known", "free", "unknown"]
"""Whether scenes lie in the world of the real images' cameras, in one of the generator's own, or
are seen from one side."""

SAMPLES = 2000
"""Scenes that are drawn by default."""


@dataclass(frozen=True)
class Candidate:
    """A checkpoint whose scenes are measured; it draws them, or makes them of photographs."""

    maker: SceneMaker

    @property
    def reconstructs(self) -> bool:
        """Whether its scenes are made of photographs."""
        return isinstance(self.maker, Stage1Scenes)

    @property
    def boxed(self) -> TokenAutoencoder | None:
        """The stage-1 model of a system whose objects lie in boxes that are seen along known rays,
        None of others."""
        if self.reconstructs or isinstance(self.maker, TokenDrawer):
            return self.maker.autoencoder if self.maker.autoencoder.uses_sight else None
        return None

    @property
    def poses(self) -> Poses:
        """What is known of the sides its scenes show."""
        if self.boxed is not None:
            return "known"
        return "free" if isinstance(self.maker, GANScenes) else "unknown"

    @property
    def ends(self) -> bool:
        """Whether its scenes end before an even background."""
        if isinstance(self.maker, GANScenes):
            return self.maker.model.space.background is not None
        return self.maker.autoencoder.background is not None

    @property
    def resolution(self) -> int:
        """Side in pixels of its pictures."""
        if self.reconstructs:
            return self.maker.autoencoder.resolution
        return self.maker.drawer().resolution

    def framing(
        self,
        crop_share: float | None,
        background: float | Literal["photo"] | None,
        manifest: Manifest,
    ) -> Framing:
        """Cut of the real images: as asked for, else as in training; drawn objects in boxes are
        compared with photographed ones on the grey that is behind them, where there are masks.

        Raises:
            DataError: the background is another one than in training.
        """
        trained = Framing() if self.reconstructs else self.maker.drawer().framing
        share = trained.crop_share if crop_share is None else crop_share
        if background == "photo":
            return Framing(share)
        if trained.background is not None and background not in (None, trained.background):
            raise DataError(
                f"background is {background}, but {self.maker.checkpoint} was trained on objects "
                f"on {trained.background}: leave --background out."
            )
        model = self.boxed
        behind = trained.background
        if not self.reconstructs and model is not None and MASK in manifest.modalities:
            behind = model.background
        return Framing(share, behind if background is None else background)

    def views(self, asked: Views | None, manifest: Manifest) -> Views:
        """From where scenes are measured: as asked for, by default along the rays of photographs
        where a generator of objects in boxes is compared with such.

        Raises:
            DataError: rays of photographs are asked for, and say nothing to this system, or are not
                known.
        """
        usable = self.boxed is not None and RAYS in manifest.modalities
        if asked == "photographs" and not usable and not self.reconstructs:
            raise DataError(
                f"--views photographs is of objects in boxes, and images with known cameras: leave "
                f"it out for {self.maker.checkpoint}."
            )
        if asked == "own" and self.reconstructs:
            raise DataError("--views own is of scenes that are drawn: leave it out.")
        return asked or ("photographs" if usable or self.reconstructs else "own")

    def kind(
        self,
        crop_share: float | None,
        background: float | Literal["photo"] | None,
        views: Views | None,
        manifest: Manifest,
        settings: MetricSettings,
    ) -> Kind:
        """What it must have in common with others, of poses and conditions only what a metric looks
        at; see `framing` and `views` for the errors."""
        framing = self.framing(crop_share, background, manifest)
        seen = self.views(views, manifest)
        poses = self.poses if settings.asks("pose", "shapes") else "unknown"
        asks = self.asks if settings.asks("conditions") else ()
        return Kind(self.reconstructs, self.resolution, framing, seen, poses, asks)

    @property
    def asks(self) -> tuple[str, ...]:
        """Conditions beside the class that a prior takes and a photograph tells."""
        if not isinstance(self.maker, PriorScenes):
            return ()
        kinds = self.maker.generator.prior.kinds
        taken = {"size": kinds.size, "time of day": kinds.time_of_day}
        return tuple(name for name, known in taken.items() if known)

    def subjects(
        self, photographs: SplitRows, kind: Kind, part: tuple[int, int], ask: bool, device: str
    ) -> Subjects:
        """The scenes of a repeat: drawn ones with seeds of its own, or those of photographs that no
        other repeat has.

        part: number of scenes, and of the repeat; ask: drawn scenes to be like a photograph each in
        all that the generator takes.
        """
        count, repeat = part
        if self.reconstructs:
            stored = range(repeat, len(photographs), max(1, len(photographs) // count))[:count]
            return ReconstructedSubjects(self.maker.autoencoder, photographs, stored, device)
        drawer = self.maker.drawer()
        known = photographs.records
        labels, first = tuple(label_plan(known.label, count, drawer.classes)), repeat * count
        rows = rows_of_labels(known.label, labels, first)
        asked = Asked(torch.tensor(labels), known.size[list(rows)], known.time_of_day[list(rows)])
        along = photographs if kind.views == "photographs" else None
        return DrawnSubjects(drawer, labels, first, along, rows, asked if ask else None)


def repeated_count(reconstructs: bool, images: int, samples: int | None, repeats: int) -> int:
    """Scenes of each repeat.

    Raises:
        DataError: there are fewer photographs than repeats need.
    """
    if not reconstructs:
        return SAMPLES if samples is None else samples
    count = images // repeats if samples is None else samples
    if count * repeats > images:
        raise DataError(
            f"{count} samples in {repeats} repeats need {count * repeats} photographs, there are "
            f"{images}: lower --samples or --repeats, for no photograph is in two repeats."
        )
    return count


class Kind(NamedTuple):
    """What candidates must have alike to be compared.

    reconstructs: whether scenes are made of photographs; resolution: of pictures; framing: of real
    images; views: from where scenes are measured; poses: what is known of the sides they show;
    asks: conditions that are asked for beside the class.
    """

    reconstructs: bool
    resolution: int
    framing: Framing
    views: Views
    poses: Poses
    asks: tuple[str, ...]

    def check_same(self, other: Kind, names: tuple[str, str]) -> None:
        """DataError if another candidate is of another kind; names: of both checkpoints."""
        mine, its = self._asdict(), other._asdict()
        for name, told in KINDS.items():
            if mine[name] != its[name]:
                raise DataError(
                    f"{names[0]} and {names[1]} can't be compared, {told} ({mine[name]} and "
                    f"{its[name]}): evaluate them one by one."
                )


KINDS = {
    "reconstructs": "for one draws its scenes, and the other makes them of photographs",
    "resolution": "for their pictures differ in size",
    "framing": "for real images are cut otherwise for each",
    "views": "for their scenes are seen from elsewhere",
    "asks": "for they take other conditions",
    "poses": "for their worlds are turned otherwise",
}
