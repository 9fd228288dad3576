"""`wild3d sample`: sheets of scenes drawn from a prior, and their tokens."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from lightning_modules.classes import ALL, class_labels, class_name
from lightning_modules.drawing import write_png
from lightning_modules.labels import labelled
from lightning_modules.stage2_pictures import spread_labels
from lightning_modules.tools.camera_paths import check_size, trajectory_cameras
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.sample_grid import Grid, canonical_sheets, draw_grid, views_sheet
from lightning_modules.tools.sampling_options import SamplingOptions
from lightning_modules.tools.scene_choice import distinct_seeds
from lightning_modules.tools.scene_makers import open_prior
from lightning_modules.tools.token_files import TokenScenes, write_tokens

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
    batch_size: int = 16,
    stage1: str | None = None,
    device: str = "cpu",
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Draw scenes of classes from a prior.

    The scene of a class and a seed does not depend on what else is drawn, but for rounding, which
    depends on batch_size and device: now and then a token differs, and those after it. Likewise
    `wild3d video` and `wild3d mesh` draw that scene, given the same options. With --tokens they
    show exactly the scenes of tokens.npz, however those were drawn.

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
        batch_size: scenes drawn at once.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
        sampling: how scenes are drawn.
    """
    if min(batch_size, views) < 1:
        raise DataError(f"batch_size is {batch_size}, views {views}: both must be at least 1.")
    check_size(size)
    maker = open_prior(checkpoint, stage1, sampling, device)
    model, labels = maker.autoencoder, _labels(classes, maker.classes, maker.names)
    maker.check_options(labels, sampling)
    grid = Grid(labels, distinct_seeds(seeds))
    camera = trajectory_cameras(model.view, "front_arc", views)
    tokens = draw_grid(maker, grid, batch_size)
    target, made = Path(out), made_now(checkpoint)
    note, names = made.note(*grid.seeds), [class_name(label, maker.names) for label in labels]
    columns = [f"seed {seed}" for seed in grid.seeds]
    scenes = TokenScenes.drawn(tokens, grid.cells, maker.names)
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
