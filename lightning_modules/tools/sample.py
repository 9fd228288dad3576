"""`wild3d sample`: sheets of scenes drawn from a prior, and their tokens."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.modalities import TimeOfDay
from lightning_modules.drawing import write_png
from lightning_modules.labels import labelled
from lightning_modules.loading import load_prior
from lightning_modules.stage2_pictures import spread_labels
from lightning_modules.tools.camera_paths import check_size, trajectory_cameras
from lightning_modules.tools.classes import ALL, class_labels, class_name
from lightning_modules.tools.prior_settings import check_conditions, read_vector, set_decoding
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.sample_grid import Grid, canonical_sheets, draw_grid, views_sheet
from lightning_modules.tools.sampling_options import Precision, SamplingOptions
from lightning_modules.tools.scene_choice import distinct_seeds
from lightning_modules.tools.token_files import TokenScenes, write_tokens
from models.priors.mask_schedules import MaskSchedule

MANY = 20
"""Classes that are all drawn by default."""

SPREAD = 12
"""Classes that are drawn by default where there are more."""


def sample(
    checkpoint: str,
    classes: tuple[str, ...] | None = None,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5),
    out: str = "outputs/sample",
    views: int = 8,
    size: int = 128,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    choice_temperature: float | None = None,
    schedule: MaskSchedule | None = None,
    size_condition: tuple[float, float, float] | None = None,
    time_of_day: TimeOfDay | None = None,
    semantics: str | None = None,
    precision: Precision | None = None,
    batch_size: int = 16,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Draw scenes of classes from a prior.

    The scene of a class and a seed does not depend on what else is drawn, but for rounding, which
    depends on batch_size and device: now and then a token differs, and those after it. Likewise
    `wild3d video` and `wild3d mesh` draw that scene, given the same temperature, top_k, top_p,
    guidance and precision. With --tokens they show exactly the scenes of tokens.npz, however those
    were drawn.

    Args:
        checkpoint: of a prior.
        classes: names or numbers of classes, e.g. chair mug, or all, or any to leave the class
            open; by default all, or 12 spread over them where there are more than 20.
        seeds: of the scenes drawn of each class, e.g. 0,1,2.
        out: folder for samples.png (a row a class, a column a seed), disparity.png (the same),
            views.png (each class's first seed, the camera moving from left to right within the
            views that training judges) and tokens.npz (the scenes, for --tokens of `wild3d video`
            and `wild3d mesh`).
        views: columns of views.png.
        size: side of a tile in pixels.
        temperature: divides the logits of the tokens; 0 takes the most probable. This and the next
            three are by default those of the prior's training, stored in its checkpoint.
        top_k: draw from the k most probable tokens only; 0 for all.
        top_p: draw from the fewest tokens that hold this share of the probability.
        guidance: above 1 makes scenes more typical of their class, at twice the cost.
        steps: rounds in which a masked prior fills in tokens, instead of the checkpoint's.
        choice_temperature: randomness of which tokens a masked prior keeps, likewise.
        schedule: how many tokens a masked prior leaves open after each round, likewise.
        size_condition: length, width and height of the object, e.g. 4.5 1.8 1.5, where the prior
            was trained with sizes.
        time_of_day: likewise.
        semantics: .npy file of a feature vector (F,), where the prior was trained with some.
        precision: of drawing tokens, float32 by default; bf16 is used for products only where the
            hardware has it.
        batch_size: scenes drawn at once.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
    """
    if min(batch_size, views) < 1:
        raise DataError(f"batch_size is {batch_size}, views {views}: both must be at least 1.")
    check_size(size)
    loaded = load_prior(checkpoint, stage1).to(device)
    prior, model = loaded.generator.prior, loaded.generator.autoencoder
    set_decoding(prior, checkpoint, steps, choice_temperature, schedule)
    vector = None if semantics is None else read_vector(semantics, "--semantics")
    labels = _labels(classes, prior.kinds.classes, loaded.classes)
    grid = Grid(labels, distinct_seeds(seeds), size_condition, time_of_day, vector)
    check_conditions(grid, prior.kinds, checkpoint)
    camera = trajectory_cameras(model.view, "front_arc", views)
    options = SamplingOptions(temperature, top_k, top_p, guidance, precision)
    sampling = options.sampling(loaded.sampling)
    tokens = draw_grid(loaded.generator, grid, sampling, batch_size, options.dtype)
    target, made = Path(out), made_now(checkpoint)
    note, names = made.note(*grid.seeds), [class_name(label, loaded.classes) for label in labels]
    columns = [f"seed {seed}" for seed in grid.seeds]
    scenes = TokenScenes.drawn(tokens, grid.cells, loaded.classes)
    write_tokens(target / "tokens.npz", scenes, model, note)
    rgb, disparity = canonical_sheets(model, tokens, len(labels), size)
    write_png(target / "samples.png", labelled(rgb, names, columns), note)
    write_png(target / "disparity.png", labelled(disparity, names, columns), note)
    around = views_sheet(model, tokens[:: len(grid.seeds)], camera, size)
    write_png(target / "views.png", labelled(around, names), made.note(grid.seeds[0]))
    for row, name in enumerate(names):
        print(f"row {row + 1}: {name}")
    print(f"{len(tokens)} scenes in {target}")


def _labels(wanted: Sequence[str] | None, classes: int, names: Sequence[str]) -> list[int]:
    """Labels of the classes a user names; of all for None, or a spread where there are many."""
    if wanted is None and classes > MANY:
        print(f"{SPREAD} of {classes} classes, spread over them; --classes all draws each.")
        return spread_labels(classes, SPREAD)
    return class_labels([ALL] if wanted is None else wanted, classes, names)
