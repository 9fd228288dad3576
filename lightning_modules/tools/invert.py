"""`wild3d invert`: a GAN fitted to photographs."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.classes import class_label, class_name
from datamodules.errors import DataError, Failures, counted
from datamodules.files import write_json
from lightning_modules.inference.camera_paths import Trajectory
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.inversion.class_guess import open_guess
from lightning_modules.inference.inversion.distance import open_distance
from lightning_modules.inference.inversion.inverted import write_inversion
from lightning_modules.inference.inversion.pivotal import Inversion, invert_photo
from lightning_modules.inference.inversion.search import Report
from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.limits import Device, Frames, Lattice, Level, Pixels, Points
from lightning_modules.inference.meshing import MeshFormat, Surface
from lightning_modules.inference.opening import open_gan
from lightning_modules.inference.photographs import find_images, load_square
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.inference.scene_files import SceneFiles
from renderers.renderer import POINTS_PER_CHUNK

NOVEL_VIEWS = 4
"""Of a sheet."""


def invert(
    checkpoint: str,
    images: tuple[str, ...],
    classes: tuple[str, ...] = (),
    classifier: str | None = None,
    classifier_weights: str | None = None,
    out: str = "outputs/invert",
    size: Pixels = 256,
    trajectory: Trajectory = "orbit",
    frames: Frames = 48,
    mesh_format: MeshFormat = "glb",
    mesh_resolution: Lattice = 128,
    mesh_level: Level | None = None,
    points_per_chunk: Points = POINTS_PER_CHUNK,
    device: Device = AUTO,
    inversion: InversionSettings = InversionSettings(),
) -> None:
    """Fit a GAN to photographs by pivotal tuning: for each a sheet, a video, a mesh and a
    checkpoint.

    Each photograph is cropped to its central square. First its view and its latent are looked for,
    then the latent is optimised, then the generator around it.

    Args:
        checkpoint: of a GAN, e.g. runs/wildgan-lowpoly/checkpoints/best.ckpt.
        images: photographs or folders of them, e.g. a.jpg b.jpg.
        classes: what the photographs show, a name or number for all or one for each.
        classifier: what says so instead: a checkpoint of `make classifier`, or the name of a model
            in torchvision, e.g. resnet50, for a GAN of ImageNet's classes.
        classifier_weights: file of the ImageNet weights of torchvision's model.
        out: folder for NAME-sheet.png (photograph, inversion, disparity, novel views),
            NAME-TRAJECTORY.mp4, NAME.glb, NAME.json (metrics before and after each phase) and
            NAME.ckpt, for --checkpoint of `wild3d video` and `wild3d mesh`.
        size: side of the rendered pictures in pixels, even.
        trajectory: path of the video's camera, from where the photograph was taken.
        frames: frames of the video.
        mesh_format: file format of the mesh.
        mesh_resolution: lattice points along each side of the mesh's box.
        mesh_level: density of the mesh's surface, by default as in `wild3d mesh`.
        points_per_chunk: field evaluations held in memory at once; the pictures do not depend on
            it.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        inversion: how the GAN is fitted.
    """
    device = chosen_device(device)
    paths = find_images(list(images))
    surface = Surface(mesh_resolution, level=mesh_level)
    files = SceneFiles(Path(out), size, trajectory, frames, mesh_format, surface, points_per_chunk)
    gan = open_gan(checkpoint)
    label_of = _labels(gan, paths, classes, (classifier, classifier_weights))
    failures = Failures(len(paths))
    model = gan.model.to(device)
    distance = open_distance(inversion.perceptual_weights, model.resolution)
    print(f"distance: {distance.name}")
    novel, made = model.views.around(NOVEL_VIEWS), made_now(checkpoint)
    note = made.note(inversion.seed)
    for path in paths:
        with failures.kept():
            label = label_of(path)
            photo = load_square(path, model.resolution).to(device)
            with _loss_bars(path.stem) as report:
                found = invert_photo(model, label, photo, distance, inversion, report)
            shown = found.photo
            write_inversion(files.folder / f"{path.stem}.ckpt", shown, gan.names, note)
            results = _results(found, distance.name, class_name(label, gan.names))
            results |= {"settings": asdict(inversion), "provenance": made.of_results()}
            write_json(files.folder / f"{path.stem}.json", results)
            print(
                f"{path.stem}: {results['class']}, PSNR {found.start.psnr:.2f} -> "
                f"{found.latent.psnr:.2f} -> {found.tuned.psnr:.2f} dB"
            )
            scenes = shown.scenes()
            seen = scenes.view(scenes.canonical, size, size, points_per_chunk)
            files.write(path.stem, photo, seen, scenes, shown.view, novel, note)
    print(f"{counted(len(paths) - len(failures.reasons), 'scene')} in {files.folder}")
    failures.tell()


def _labels(
    gan: GANScenes,
    paths: Sequence[Path],
    classes: Sequence[str],
    classifier: tuple[str | None, str | None],
) -> Callable[[Path], int]:
    """From a photograph to its label: as the user says, or as a classifier and its weights see it;
    -1 where the GAN has no classes."""
    name, weights = classifier
    guessing = {"classifier": name, "classifier_weights": weights}
    if gan.classes == 0:
        given = {"classes": classes or None} | guessing
        check_unused(given, f"{gan.checkpoint} is of a GAN without classes")
        return lambda path: -1
    if classes:
        check_unused(guessing, "--classes says what photographs show")
        if len(classes) not in (1, len(paths)):
            raise DataError(
                f"--classes names {counted(len(classes), 'class', 'classes')} of "
                f"{counted(len(paths), 'photograph')}: give one for all, or one for each."
            )
        known = [class_label(wanted, gan.classes, gan.names) for wanted in classes]
        if -1 in known:
            raise DataError("--classes is any, but a GAN draws scenes of a class: name it.")
        labels = known * (len(paths) // len(known))
        return dict(zip(paths, labels, strict=True)).__getitem__
    if name is None:
        raise DataError(
            f"{gan.checkpoint} is of a GAN of {gan.classes} classes: say what the photographs "
            "show with --classes, or name a --classifier that can."
        )
    guess = open_guess(name, weights, gan.names)
    return lambda path: guess.label(load_square(path, guess.side))


def _results(found: Inversion, distance: str, shown: str) -> dict[str, Any]:
    """The results of an inversion, for people."""
    view = found.photo.view
    return {
        "class": shown,
        "view": {
            "yaw_degrees": math.degrees(view.yaw),
            "pitch_degrees": math.degrees(view.pitch),
        },
        "distance": distance,
        "start": asdict(found.start),
        "latent": asdict(found.latent),
        "tuned": asdict(found.tuned),
    }


@contextmanager
def _loss_bars(title: str) -> Iterator[Report]:
    """A report that draws a progress bar with the loss for each phase."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}"),
    )
    with Progress(*columns) as progress:
        tasks = {}

        def report(what: str, done: int, total: int, loss: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(f"{title}: {what}", total=total, loss=loss)
            progress.update(tasks[what], completed=done, loss=loss)

        yield report
