"""Networks for salient objects as ONNX files: one map of how much each pixel is foreground."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from datamodules.errors import DataError, check_number, first_line
from datamodules.settings_files import read_settings
from lightning_modules.labelling.class_map import ClassMap, Segments
from models.stored import as_type

BACKGROUND, FOREGROUND = "background", "foreground"
SALIENT = ClassMap(object=(FOREGROUND,), background=(BACKGROUND,))
"""Roles of the two, unless others are given."""


@dataclass(frozen=True)
class OnnxSettings:
    """A network as a YAML file describes it.

    file: the ONNX file, relative to the YAML's folder; side: pixels along the square it sees; mean,
    std: of the channels, which normalise pixels in [0, 1]; threshold: from which a pixel is
    foreground; stretch: bring what it gives of each image to [0, 1] first; output: name of what it
    gives, by default the first.

    Raises DataError for a number outside its range.
    """

    file: str
    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    threshold: float = 0.5
    stretch: bool = False
    output: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_number("side", self.side, 8, 8192)
        for value in self.std:
            check_number("std", value, 1e-6, 1e6)
        for value in self.mean:
            check_number("mean", value, -1e6, 1e6)
        check_number("threshold", self.threshold, -1e6, 1e6)


def read_onnx_settings(path: str) -> OnnxSettings:
    """Settings in a YAML file.

    Raises:
        DataError: it is no readable YAML mapping, or has an unknown key, or a value of another
            type or outside its range.
    """
    found = read_settings(path, "--network")
    try:
        read: OnnxSettings = as_type(found, OnnxSettings, path)
    except ValueError as error:
        raise DataError(f"{error}.") from error
    return replace(read, file=str(Path(path).parent / read.file))


@dataclass(frozen=True)
class OnnxSegmenter:
    """A network in an ONNX file; see `Segmenter`."""

    settings: OnnxSettings
    session: Any
    weights: str
    revision: None = None
    parts_objects: bool = False

    @staticmethod
    def open(settings: OnnxSettings, device: str) -> OnnxSegmenter:
        """One on a device; DataError if onnxruntime is not installed or can't read the file."""
        try:
            import onnxruntime
        except ImportError as error:
            raise DataError(
                "ONNX files need the package onnxruntime, which is not installed: "
                "pip install 'wild3d[labels]'."
            ) from error
        path = Path(settings.file)
        if not path.is_file():
            raise DataError(f"There is no file {path}: check `file`.")
        kind = torch.device(device).type
        wanted = "CPUExecutionProvider" if kind == "cpu" else "CUDAExecutionProvider"
        if wanted not in onnxruntime.get_available_providers():
            raise DataError(f"onnxruntime can't compute on {device} here: give --device cpu.")
        try:
            session = onnxruntime.InferenceSession(str(path), providers=[wanted])
        except Exception as error:  # whatever the package makes of a file
            raise DataError(f"onnxruntime can't open {path} ({first_line(error)}).") from error
        outputs = [output.name for output in session.get_outputs()]
        if settings.output not in (None, *outputs):
            raise DataError(f"{path} gives {', '.join(outputs)}, not {settings.output}.")
        with path.open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
        return OnnxSegmenter(settings, session, weights)

    @property
    def name(self) -> str:
        """With all that is decided by the settings."""
        of = self.settings
        stretched = ", stretched" if of.stretch else ""
        stretched += f", output {of.output}" if of.output else ""
        return (
            f"onnx:{Path(of.file).name}, {of.side} px, mean {list(of.mean)}, std {list(of.std)}, "
            f"threshold {of.threshold:g}{stretched}"
        )

    @property
    def classes(self) -> Mapping[int, str]:
        """Background and foreground."""
        return {0: BACKGROUND, 1: FOREGROUND}

    def __call__(self, pixels: Tensor) -> Sequence[Segments]:
        """The parts of each of the images (B, 3, H, W) uint8, looked at one by one."""
        return [self._parts(image[None]) for image in pixels]

    def _parts(self, pixels: Tensor) -> Segments:
        of = self.settings
        seen = interpolate(
            pixels.float() / 255, (of.side, of.side), mode="bilinear", antialias=True
        )
        mean, std = (torch.tensor(values)[:, None, None] for values in (of.mean, of.std))
        given = {self.session.get_inputs()[0].name: ((seen - mean) / std).numpy()}
        outputs = None if of.output is None else [of.output]
        try:
            answer = self.session.run(outputs, given)[0]
        except Exception as error:  # of the package, which has many
            raise ValueError(first_line(error)) from error
        found = torch.from_numpy(np.asarray(answer, np.float32))
        if found.numel() != found.shape[-1] * found.shape[-2]:
            raise ValueError(f"it gives {tuple(found.shape)} instead of one map of foreground")
        found = found.reshape(1, 1, *found.shape[-2:])
        if of.stretch:
            found = (found - found.min()) / (found.max() - found.min()).clamp(min=1e-12)
        share = interpolate(found, tuple(pixels.shape[2:]), mode="bilinear", antialias=True)
        return Segments((share[0, 0] >= of.threshold).long().numpy(), np.arange(2))
