"""`wild3d edit`: a part of a photograph drawn anew, or taken from another."""

from pathlib import Path
from typing import Literal

import torch

from datamodules.classes import class_label
from datamodules.errors import DataError, Failures
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import Device, DrawnSeed, Pixels
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.regions import Corners
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_choice import distinct_seeds
from lightning_modules.inference.token_edits import (
    edit_sheet,
    inserted_tokens,
    open_photo,
    redrawn_tokens,
)
from lightning_modules.inference.token_files import TokenScenes, write_tokens
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import write_png

Action = Literal["resample", "keep", "insert"]

SEEDS = (0, 1, 2, 3)
"""Of the results by default."""


def edit(
    checkpoint: str,
    image: str,
    region: Corners,
    action: Action = "resample",
    source: str | None = None,
    source_region: Corners | None = None,
    label: str | None = None,
    seeds: tuple[DrawnSeed, ...] | None = None,
    out: str = "outputs/edit",
    size: Pixels = 256,
    stage1: str | None = None,
    device: Device = AUTO,
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Change a part of a photograph's tokens and look at the scenes of the result.

    An autoregressive prior draws a token from those above it and to its left only; a masked prior
    sees all that are kept.

    Args:
        checkpoint: of a prior; for insert one of stage 1 will do.
        image: the photograph.
        region: left,top,right,bottom as fractions of the image's central square, e.g.
            0.25,0.25,0.75,0.75; of it are the tokens whose centres lie inside. Of a model of three
            planes, fractions of the object's box seen from its right side, front to the right.
        action: resample draws the region anew; keep draws everything else anew; insert takes the
            region from another photograph.
        source: the other photograph, for insert.
        source_region: what to take of it, as many tokens high and wide as region; by default the
            same place.
        label: class of what is drawn, a name or a number, or any, the default, to leave it unknown.
        seeds: of the results, e.g. 0,1,2; by default 0,1,2,3.
        out: folder for NAME-ACTION.png: photograph, reconstruction and results, each with its
            disparity and a novel view below; and NAME-ACTION.npz with the results, for --tokens of
            `wild3d video` and `wild3d mesh`.
        size: side of a tile in pixels.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        sampling: how tokens are drawn.
    """
    device = chosen_device(device)
    _check_used(action, source, source_region, label, seeds, sampling)
    maker = open_maker(checkpoint, stage1, sampling, device)
    model, number, drawn = maker.autoencoder, -1, []
    photos, failures = [], Failures(1)
    with failures.kept():
        photos.append(open_photo(model, image, region, "--region", device))
    if source is not None:
        place = region if source_region is None else source_region
        with failures.kept():
            photos.append(open_photo(model, source, place, "--source_region", device, "--source"))
    failures.tell()
    if source is not None:
        results = inserted_tokens(*photos)
    else:
        drawer = maker.token_drawer(action)
        number = -1 if label is None else class_label(label, drawer.classes, drawer.names)
        drawn = distinct_seeds(SEEDS if seeds is None else seeds)
        drawer.check_labels([number])
        results = redrawn_tokens(drawer, photos[0], number, drawn, keep=action == "keep")
    picture = edit_sheet(model, photos, torch.cat([photos[0].tokens, results]), size)
    names = [f"seed {seed}" for seed in drawn] or ["result"]
    columns = [*("photo", "source")[: len(photos)], "reconstruction", *names]
    stem, note = f"{Path(image).stem}-{action}", made_now(checkpoint).note(*drawn)
    path = Path(out) / f"{stem}.png"
    write_png(path, labelled(picture, ["image", "disparity", "turned"], columns), note)
    named = [f"{stem}-seed{seed}" for seed in drawn] or [stem]
    scenes = TokenScenes(results, named, [number] * len(results), drawn or [-1])
    write_tokens(path.with_suffix(".npz"), scenes, model, note)
    print(f"region of {photos[0].box} tokens of {model.layout}: {path}")


def _check_used(
    action: Action,
    source: str | None,
    source_region: Corners | None,
    label: str | None,
    seeds: tuple[int, ...] | None,
    sampling: SamplingOptions,
) -> None:
    """DataError if an action lacks its source, or takes no notice of an option."""
    if (source is None) == (action == "insert"):
        raise DataError("insert takes a part of another photograph, --source; other actions don't.")
    if action == "insert":
        check_unused({"label": label, "seeds": seeds} | sampling.given, "insert draws nothing")
    else:
        check_unused({"source_region": source_region}, f"{action} takes no part of another")
