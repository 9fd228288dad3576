"""`wild3d mesh`: scenes as coloured meshes."""

from pathlib import Path

from rich.progress import track

from datamodules.errors import DataError, Failures
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import Device, Inside, Lattice, Level, Positive
from lightning_modules.inference.meshing import MeshFormat, Surface, write_mesh
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import SceneChoice


def mesh(
    checkpoint: str,
    out: str = "outputs/mesh",
    format: MeshFormat = "glb",
    resolution: Lattice = 128,
    level: Level | None = None,
    quantile: Inside | None = None,
    largest_component: bool = False,
    half_extent: Positive | None = None,
    stage1: str | None = None,
    device: Device = AUTO,
    scenes: SceneChoice = SceneChoice(),
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Write the surface of scenes of photographs, classes or stored tokens: a coloured mesh each.

    Args:
        checkpoint: of stage 1 for photographs and tokens, of a prior for all, of a GAN for classes;
            or a file of `wild3d invert`, which holds one scene.
        out: folder for NAME.glb; NAME is the photograph's, CLASS-seedN, or what tokens or the
            file name the scene.
        format: glb, ply or obj.
        resolution: lattice points along each side of the box.
        level: density of the surface, the same for all scenes.
        quantile: share of the box that is outside the surface. By default 0.7; of an object in a
            box of its own the surface is by default that of what is opaque.
        largest_component: keep only the connected part with the most faces.
        half_extent: half the side of the box around the origin; by default the object's box, else
            1, and the default camera is 2.5 away.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        scenes: which scenes.
        sampling: how scenes of classes are drawn.
    """
    device = chosen_device(device)
    surface = Surface(resolution, half_extent, level, quantile, largest_component)
    maker = open_maker(checkpoint, stage1, sampling, device)
    wanted = maker.wanted(scenes)
    made, lines, failures = made_now(checkpoint), [], Failures(len(wanted))
    for scene in track(wanted, description="mesh"):
        path = Path(out) / f"{scene.name}.{format}"
        with failures.kept():
            made_scene = scene.make()
            try:
                statistics = write_mesh(made_scene, path, surface, made.note(*scene.seeds))
            except ValueError as error:
                reason = f"No mesh for {scene.name}: {error} (--level, --quantile)."
                raise DataError(reason) from error
            lines.append(f"{path}: {statistics}")
    print("\n".join(lines))
    failures.tell()
