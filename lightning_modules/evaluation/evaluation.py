"""An evaluation: checkpoints whose scenes are measured, and real images they are compared with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any

import torch

from datamodules.classes import class_name
from datamodules.manifest import images_hash
from datamodules.modalities import RAYS
from datamodules.rows import SplitRows
from lightning_modules.evaluation.applicability import check_unlabelled
from lightning_modules.evaluation.candidates import Candidate, Kind
from lightning_modules.evaluation.comparison import Figure
from lightning_modules.evaluation.conditions import real_brightness
from lightning_modules.evaluation.distances import inception_score
from lightning_modules.evaluation.instruments import Instruments
from lightning_modules.evaluation.measures import Measures
from lightning_modules.evaluation.metrics import MeasuredWith, Truth, left_out, metrics_of
from lightning_modules.evaluation.parts import Part, Parts
from lightning_modules.evaluation.real_features import real_features
from lightning_modules.evaluation.real_images import RESIZE, RealImages
from lightning_modules.evaluation.real_poses import pose_limits, real_poses
from lightning_modules.evaluation.results import Result, run_names
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.subjects import DrawnSubjects, Subjects
from lightning_modules.inference.checkpoint_file import read_checkpoint
from lightning_modules.inference.computing import Precision, whole_float32
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_settings import read_vector
from lightning_modules.inference.processes import Place
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions


@dataclass(frozen=True)
class Opening:
    """How checkpoints are opened: where a prior's stage 1 is, how scenes are drawn, on which
    device; and how precisely they are made and rendered."""

    stage1: str | None = None
    sampling: SamplingOptions = SamplingOptions()
    device: str = "cpu"
    render_precision: Precision = "float32"

    def candidate(self, checkpoint: str) -> Candidate:
        """Open one; see `open_maker` for the errors."""
        return Candidate(open_maker(checkpoint, self.stage1, self.sampling, self.device))


@dataclass(frozen=True)
class Evaluation:
    """What is measured of which checkpoints.

    kind: what all have alike; counts: scenes in each repeat of each checkpoint.
    """

    checkpoints: tuple[str, ...]
    opening: Opening
    images: RealImages
    instruments: Instruments
    kind: Kind
    counts: tuple[tuple[int, ...], ...]
    cache: str | None = None
    num_workers: int = 0

    @property
    def settings(self) -> MetricSettings:
        """Which metrics, and how."""
        return self.instruments.settings

    @property
    def repeats(self) -> int:
        """Repeats of each checkpoint."""
        return len(self.counts[0])

    @property
    def measured_with(self) -> MeasuredWith:
        """Names of what figures are measured with."""
        network, depth = self.instruments.network, self.instruments.depth
        lpips = self.instruments.lpips
        return MeasuredWith(
            "" if network is None else network.name,
            "stored" if depth is None else depth.label,
            "" if lpips is None else f"vgg16-{weights_hash(lpips.network)[:8]}",
            self.kind.reconstructs,
            self.kind.poses == "free",
            tuple(self.images.manifest.classes),
            self.kind.asks,
        )

    @cached_property
    def truth(self) -> Truth:
        """What scenes are compared with, measured when it is first asked for.

        Raises:
            DataError: a metric does not apply to the real images, or one is unusable.
        """
        network, poses = self.instruments.network, None
        real = real_features(network, self.images, self.cache, self.num_workers)
        known = self.kind.poses == "free" and RAYS in self.images.manifest.modalities
        if self.settings.asks("pose") or (self.settings.asks("shapes") and known):
            poses = real_poses(self.images, self.settings.pose_objects)
        limits = pose_limits(poses) if self.settings.asks("pose") and poses is not None else {}
        bright = None
        if self.settings.asks("conditions") and "time of day" in self.kind.asks:
            bright = real_brightness(self._rows())
        return Truth(real, poses, limits, self.instruments.shapes, bright)

    def made(self) -> dict[str, Any]:
        """All that what is measured depends on, as JSON has it."""
        hashes = [made_now(checkpoint).checkpoint_sha256 for checkpoint in self.checkpoints]
        options = asdict(self.opening) | {"device": torch.device(self.opening.device).type}
        depth, shapes = self.instruments.depth, self.instruments.shapes
        manifest, semantics = self.images.manifest, self.opening.sampling.semantics
        vector = None if semantics is None else read_vector(semantics, "--semantics").tolist()
        return {
            "checkpoints": hashes,
            "opening": options,
            "semantics": vector,
            "settings": asdict(self.settings),
            "depth": None if depth is None else depth.made(),
            "lpips": self.measured_with.lpips,
            "shapes": None if shapes is None else shapes.hash,
            "real": self.compared(),
            "files": {of: images_hash(manifest, of) for of in manifest.modalities},
            "views": self.kind.views,
        }

    def check(self) -> None:
        """DataError if a true shape is missing, the network tells other classes, or there are
        images of no class and generators draw none such, before anything is made."""
        network, classes = self.instruments.network, len(self.images.manifest.classes)
        if self.settings.asks("conditions") and network is not None:
            network.check_classes(classes)
        if self.instruments.shapes is not None:
            self.instruments.shapes.check(self._rows(), self.kind.reconstructs)
        if self.kind.reconstructs or (self._rows().records.label >= 0).all():
            return
        for checkpoint in self.checkpoints:
            check_unlabelled(self.opening.candidate(checkpoint), self.images.root)

    def _rows(self) -> SplitRows:
        images = self.images
        return SplitRows(
            images.root,
            images.manifest,
            images.split,
            images.resolution,
            images.framing,
            images.count,
        )

    def subjects(self, checkpoint: int, repeat: int) -> Subjects:
        """The scenes of a repeat of a checkpoint."""
        candidate = self.opening.candidate(self.checkpoints[checkpoint])
        part, ask = (self.counts[checkpoint][repeat], repeat), self.settings.asks("conditions")
        return candidate.subjects(self._rows(), self.kind, part, ask, self.opening.device)

    def measure(self, parts: Parts, place: Place) -> bool:
        """Measure this process's share of the scenes; whether all are measured now."""
        subjects = lru_cache(maxsize=1)(self.subjects)  # one checkpoint is in memory at a time

        def measured(part: Part, rows: range) -> Measures:
            with whole_float32(self.opening.device):
                return self.instruments.measure(subjects(part.checkpoint, part.repeat), rows)

        return parts.measure(place, measured)

    def results(self, parts: Parts) -> list[Result]:
        """What was found of each checkpoint, once all parts are there."""
        truth, names = self.truth, run_names(self.checkpoints)
        return [self._result(number, name, truth, parts) for number, name in enumerate(names)]

    def _result(self, number: int, name: str, truth: Truth, parts: Parts) -> Result:
        figures: dict[str, list[float]] = {}
        measured = [parts.read(number, repeat) for repeat in range(self.repeats)]
        for some in measured:
            for label, value in metrics_of(some, truth, self.settings, self.measured_with).items():
                figures.setdefault(label, []).append(value)
        checkpoint = self.checkpoints[number]
        opened = read_checkpoint(checkpoint)
        return Result(
            name,
            {label: Figure(tuple(values)) for label, values in figures.items()},
            left_out(Measures.cat(measured)),
            self._drawn(number, measured),
            made_now(checkpoint),
            opened.images_seen if "images_seen" in opened.content else None,
        )

    def _drawn(self, number: int, measured: Sequence[Measures]) -> dict[str, Any]:
        """Protocol of the scenes of a checkpoint."""
        subjects = self.subjects(number, 0)
        labels = torch.cat([some.labels for some in measured]).tolist()
        names = self.images.manifest.classes
        count = self.counts[number][0]
        found: dict[str, Any] = {"checkpoint": self.checkpoints[number], "samples": count}
        found["repeats"] = self.repeats
        if self.settings.asks("conditions"):
            found["asked"] = ["class", *self.kind.asks]
        if isinstance(subjects, DrawnSubjects):
            own = subjects.drawer.viewpoints
            found["seeds"] = f"0 to {count * self.repeats - 1}"
            found["cameras"] = own if self.kind.views == "own" else "along the rays of real images"
        found["classes"] = {class_name(n, names): k for n, k in sorted(Counter(labels).items())}
        return found

    def compared(self) -> dict[str, Any]:
        """Protocol of the real images and of the features."""
        images, network = self.images, self.instruments.network
        compared = {
            "root": images.root,
            "split": images.split,
            "real_images": images.count,
            "real_images_sha256": images.images_hash,
            "resolution": images.resolution,
            **images.framing._asdict(),
        }
        if network is None:
            return compared
        return compared | {
            "resize": f"real images: {RESIZE}; network: {network.resize}",
            "network": network.name,
            "network_sha256": network.weights,
            "torch_fidelity": version("torch-fidelity"),
        }

    def protocol(self) -> dict[str, Any]:
        """What is alike for all checkpoints: real images and estimates; of IS also what real images
        reach."""
        settings, fakes = self.settings, min(count for each in self.counts for count in each)
        found: dict[str, Any] = self.compared()
        found |= {"sampling": self.opening.sampling.given, "metric_seed": settings.metric_seed}
        found["render_precision"] = self.opening.render_precision
        if settings.asks("kid", "kid_3d"):
            found["kid_subsets"] = settings.kid_subsets
            found["kid_subset_size"] = settings.subset_size(self.images.count, fakes)
        if settings.novel is not None:
            found["novel_views"] = settings.novel.told
        if settings.asks("pr"):
            found["neighbours"] = settings.neighbours
        if settings.asks("is"):
            real = self.truth.real
            splits = min(settings.is_splits, len(real.features))
            score = inception_score(real.features.logits, splits, settings.metric_seed)
            found |= {"is_splits": settings.is_splits, "is_of_real_images": score.mean}
        return found | dict(self.truth.limits)
