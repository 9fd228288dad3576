"""`wild3d edit`: a part of a photograph drawn anew, or taken from another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from datamodules.errors import DataError
from lightning_modules.drawing import write_png
from lightning_modules.labels import labelled
from lightning_modules.loading import LoadedPrior, load_generator
from lightning_modules.tools.camera_paths import check_size
from lightning_modules.tools.classes import class_label
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.regions import Corners
from lightning_modules.tools.sampling_options import Precision, SamplingOptions, check_unused
from lightning_modules.tools.scene_choice import distinct_seeds
from lightning_modules.tools.scene_makers import stage1_of
from lightning_modules.tools.token_edits import (
    Redrawing,
    edit_sheet,
    inserted_tokens,
    open_photo,
    redrawn_tokens,
)
from lightning_modules.tools.token_files import TokenScenes, write_tokens
from models.autoencoder import TokenAutoencoder

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
    seeds: tuple[int, ...] | None = None,
    out: str = "outputs/edit",
    size: int = 256,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    precision: Precision | None = None,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Change a part of a photograph's tokens and look at the scenes of the result.

    An autoregressive prior draws a token from those above it and to its left only; a masked prior
    sees all that are kept.

    Args:
        checkpoint: of a prior; for insert one of stage 1 will do.
        image: the photograph.
        region: left,top,right,bottom as fractions of the image's central square, e.g.
            0.25,0.25,0.75,0.75; of it are the tokens whose centres lie inside.
        action: resample draws the region anew; keep draws everything else anew; insert takes the
            region from another photograph.
        source: the other photograph, for insert.
        source_region: what to take of it, as many tokens high and wide as region; by default the
            same place.
        label: class of what is drawn, a name or a number, or any, the default, to leave it open.
        seeds: of the results, e.g. 0,1,2; by default 0,1,2,3.
        out: folder for NAME-ACTION.png: photograph, reconstruction and results, each with its
            disparity and a novel view below; and NAME-ACTION.npz with the results, for --tokens of
            `wild3d video` and `wild3d mesh`.
        size: side of a tile in pixels.
        temperature: divides the logits of the tokens; 0 takes the most probable. This and the next
            three are by default those of the prior's training, stored in its checkpoint.
        top_k: draw from the k most probable tokens only; 0 for all.
        top_p: draw from the fewest tokens that hold this share of the probability.
        guidance: above 1 makes scenes more typical of their class, at twice the cost.
        precision: of drawing tokens, float32 by default; bf16 is used for products only where the
            hardware has it.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
    """
    check_size(size)
    if (source is None) == (action == "insert"):
        raise DataError("insert takes a part of another photograph, --source; other actions don't.")
    options = SamplingOptions(temperature, top_k, top_p, guidance, precision)
    if action == "insert":
        check_unused({"label": label, "seeds": seeds} | options.given, "insert draws nothing")
    else:
        check_unused({"source_region": source_region}, f"{action} takes no part of another")
    loaded = load_generator(checkpoint, stage1).to(device)
    model, number, drawn = stage1_of(loaded), -1, []
    photos = [open_photo(model, image, region, "--region", device)]
    if source is not None:
        place = region if source_region is None else source_region
        photos.append(open_photo(model, source, place, "--source_region", device))
        results = inserted_tokens(*photos)
    elif isinstance(loaded, TokenAutoencoder):
        raise DataError(
            f"{checkpoint} is a stage-1 checkpoint: {action} draws tokens, name one of a prior."
        )
    else:
        drawing = _redrawing(loaded, label, seeds, options)
        number, drawn = drawing.label, drawing.seeds
        results = redrawn_tokens(loaded.generator, photos[0], drawing, keep=action == "keep")
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


def _redrawing(
    loaded: LoadedPrior, label: str | None, seeds: Sequence[int] | None, options: SamplingOptions
) -> Redrawing:
    """How a prior draws what is open; DataError for what is outside its range."""
    classes = loaded.generator.prior.kinds.classes
    return Redrawing(
        -1 if label is None else class_label(label, classes, loaded.classes),
        distinct_seeds(SEEDS if seeds is None else seeds),
        options.sampling(loaded.sampling),
        options.dtype,
    )
