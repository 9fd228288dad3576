"""Whether metrics and options apply to a candidate's scenes: told before anything is made."""

from __future__ import annotations

from datamodules.errors import DataError
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK
from lightning_modules.evaluation.candidates import Candidate
from lightning_modules.evaluation.label_plan import check_classes
from lightning_modules.evaluation.settings import OF_OBJECTS, OF_PHOTOGRAPHS, MetricSettings
from lightning_modules.inference.sampling_options import check_unused


def check_applies(candidate: Candidate, settings: MetricSettings, manifest: Manifest) -> None:
    """Refuse metrics that do not apply to a candidate's scenes, and options that do nothing.

    Raises:
        DataError: one sentence with the metric or the option, and the knob.
    """
    if candidate.reconstructs:
        why = f"{candidate.maker.checkpoint} makes scenes of photographs, and draws none"
        check_unused(candidate.maker.options.given, why)
    else:
        _check_drawn(candidate, settings, manifest)
    for metric in OF_OBJECTS:
        if settings.asks(metric) and not candidate.ends:
            raise DataError(
                f"{metric} is of objects alone, the scenes of {candidate.maker.checkpoint} go on: "
                "leave it out of --metrics."
            )
    if settings.asks("silhouette") and MASK not in manifest.modalities:
        raise DataError(
            "silhouette is of objects alone, and the images come without masks: leave it out "
            "of --metrics."
        )
    if settings.asks("conditions"):
        _check_conditions(candidate)
    if settings.asks("pose") and (candidate.reconstructs or candidate.poses == "unknown"):
        fault = "shows scenes from one side alone"
        if candidate.reconstructs:
            fault = "makes scenes of photographs, which look most like these themselves"
        raise DataError(f"{candidate.maker.checkpoint} {fault}: leave pose out of --metrics.")
    if settings.asks("depth") and settings.depth_network is None:
        _check_stored_depth(candidate, manifest)


def _check_drawn(candidate: Candidate, settings: MetricSettings, manifest: Manifest) -> None:
    drawer = candidate.maker.drawer()
    if drawer.classes == 0:
        drawer.check_labels([-1])
    check_classes(candidate.maker.checkpoint, drawer.classes, len(manifest.classes))
    for metric in OF_PHOTOGRAPHS:
        if settings.asks(metric):
            raise DataError(
                f"{metric} is of photographs and their reconstructions, "
                f"{candidate.maker.checkpoint} draws its scenes: leave it out of --metrics."
            )


def _check_conditions(candidate: Candidate) -> None:
    if candidate.reconstructs or not (candidate.asks or candidate.maker.drawer().classes):
        raise DataError(
            "conditions asks each scene to be drawn like a photograph, and "
            f"{candidate.maker.checkpoint} takes neither class, size nor time of day: leave it out "
            "of --metrics."
        )
    given = {"size_condition", "time_of_day", "semantics"} & set(candidate.maker.options.given)
    if given:
        raise DataError(
            "conditions asks each scene to be drawn like a photograph, not all alike: leave it "
            f"out of --metrics, or --{min(given)}."
        )


def _check_stored_depth(candidate: Candidate, manifest: Manifest) -> None:
    if not candidate.reconstructs:
        raise DataError(
            f"{candidate.maker.checkpoint} draws its scenes, whose depth no photograph tells: name "
            "a network that sees it in --depth_network, or leave depth out of --metrics."
        )
    if DEPTH not in manifest.modalities:
        raise DataError(
            "the images come without depth: name a network that sees it in --depth_network, or "
            "leave depth out of --metrics."
        )


def check_unlabelled(candidate: Candidate, root: str) -> None:
    """DataError if a candidate draws scenes of a class only, for images of none."""
    drawer = candidate.maker.drawer()
    try:
        drawer.check_labels([-1, 0])
    except DataError as error:
        raise DataError(
            f"{root} has images without a class, and {candidate.maker.checkpoint} draws scenes of "
            "a class only: label them, or name others in --root."
        ) from error
