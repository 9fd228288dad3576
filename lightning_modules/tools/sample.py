"""`wild3d sample`: sheets of scenes drawn from a prior or a GAN."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.classes import ALL, class_labels, class_name, spread_labels
from datamodules.errors import counted
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import BatchSize, Device, DrawnSeed, Pixels, Tiles
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sample_grid import Grid, canonical_sheets, views_sheet
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import distinct_seeds
from lightning_modules.inference.token_files import write_tokens
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import write_png

MANY = 20
"""Classes that are all drawn by default."""

SPREAD = 12
"""Classes that are drawn by default where there are more."""


def sample(
    checkpoint: str,
    classes: tuple[str, ...] | None = None,
    seeds: tuple[DrawnSeed, ...] = (0, 1, 2, 3, 4, 5),
    out: str = "outputs/sample",
    views: Tiles = 8,
    size: Pixels = 128,
    batch_size: BatchSize | None = None,
    stage1: str | None = None,
    device: Device = AUTO,
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Draw scenes of classes from a prior or a GAN.

    The scene of a class and a seed does not depend on what else is drawn, and `wild3d video` and
    `wild3d mesh` draw the same, given the same options. From a prior that holds up to rounding,
    which depends on batch_size and device: now and then a token differs, and those after it. With
    --tokens they show exactly the scenes of tokens.npz, however those were drawn.

    Args:
        checkpoint: of a prior or a GAN.
        classes: names or numbers of classes, e.g. chair mug, or all, or any to leave the class
            unknown, which a GAN can't; by default all, or 12 spread over them where there are more
            than 20.
        seeds: of the scenes drawn of each class, e.g. 0,1,2.
        out: folder for samples.png (a row a class, a column a seed), disparity.png (the same),
            views.png (each class's first seed, the camera moving from left to right within the
            views that training judges) and, from a prior, tokens.npz (the scenes, for --tokens of
            `wild3d video` and `wild3d mesh`).
        views: columns of views.png.
        size: side of a tile in pixels.
        batch_size: scenes whose tokens a prior draws at once, 16 by default.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        sampling: how scenes are drawn.
    """
    device = chosen_device(device)
    drawer = open_maker(checkpoint, stage1, sampling, device).drawer()
    labels = _labels(classes, drawer.classes, drawer.names)
    drawer.check_labels(labels)
    grid, target, made = Grid(labels, distinct_seeds(seeds)), Path(out), made_now(checkpoint)
    note, names = made.note(*grid.seeds), [class_name(label, drawer.names) for label in labels]
    drawn = drawer.draw(grid.cells, batch_size)
    if drawn.tokens is not None:
        write_tokens(target / "tokens.npz", drawn.tokens, drawer.autoencoder, note)
    columns = [f"seed {seed}" for seed in grid.seeds]
    rgb, disparity = canonical_sheets(drawn.scene_at, grid, size)
    write_png(target / "samples.png", labelled(rgb, names, columns), note)
    write_png(target / "disparity.png", labelled(disparity, names, columns), note)
    around = views_sheet(drawn.scene_at, grid.firsts, drawer.judged_views(views), size)
    write_png(target / "views.png", labelled(around, names), made.note(grid.seeds[0]))
    for row, name in enumerate(names):
        print(f"row {row + 1}: {name}")
    print(f"{counted(len(grid.cells), 'scene')} in {target}")


def _labels(wanted: Sequence[str] | None, classes: int, names: Sequence[str]) -> list[int]:
    """Labels of the classes a user names; of all for None, or a spread where there are many."""
    if wanted is None and classes > MANY:
        print(f"{SPREAD} of {classes} classes, spread over them; --classes all draws each.")
        return spread_labels(classes, SPREAD)
    return class_labels([ALL] if wanted is None else wanted, classes, names)
