"""`wild3d mesh`: scenes as coloured meshes."""

from pathlib import Path

from rich.progress import track

from datamodules.errors import DataError
from lightning_modules.tools.meshing import QUANTILE, MeshFormat, Surface, write_mesh
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.sampling_options import Precision, SamplingOptions
from lightning_modules.tools.scene_choice import SceneChoice, make_scene, wanted_scenes
from lightning_modules.tools.scene_makers import open_maker


def mesh(
    checkpoint: str,
    images: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
    seeds: tuple[int, ...] | None = None,
    tokens: str | None = None,
    rows: tuple[int, ...] = (),
    out: str = "outputs/mesh",
    format: MeshFormat = "glb",
    resolution: int = 128,
    level: float | None = None,
    quantile: float | None = None,
    largest_component: bool = False,
    half_extent: float = 1.0,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    precision: Precision | None = None,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Write the surface of scenes of photographs, classes or stored tokens: a coloured mesh each.

    Args:
        checkpoint: of stage 1 for photographs and tokens, of a prior for all.
        images: photographs or folders of them, e.g. a.jpg b.jpg.
        classes: names or numbers of classes to draw, e.g. chair mug, or all, or any to leave the
            class open.
        seeds: of the scenes drawn of each class, e.g. 0,1,2; by default 0.
        tokens: what `wild3d sample` or `wild3d edit` wrote with the same stage-1 model, e.g.
            outputs/sample/tokens.npz.
        rows: numbers of scenes in that file from 0, e.g. 0,5,7; by default all.
        out: folder for NAME.glb; NAME is the photograph's, CLASS-seedN, or what tokens name the
            scene.
        format: glb, ply or obj.
        resolution: lattice points along each side of the box.
        level: density of the surface, the same for all scenes.
        quantile: share of the box that is outside the surface, 0.7 unless a level is given.
        largest_component: keep only the connected part with the most faces.
        half_extent: half the side of the box around the origin; the default camera is 2.5 away.
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
    if level is not None and quantile is not None:
        raise DataError(f"level is {level} and quantile {quantile}: give only one of them.")
    share = QUANTILE if quantile is None else quantile
    surface = Surface(resolution, half_extent, level, share, largest_component)
    options = SamplingOptions(temperature, top_k, top_p, guidance, precision)
    choice = SceneChoice(images, classes, seeds, tokens, rows, options)
    maker = open_maker(checkpoint, stage1, options, device)
    wanted = wanted_scenes(maker, choice)
    made, lines, failures = made_now(checkpoint), [], []
    for scene in track(wanted, description="mesh"):
        path = Path(out) / f"{scene.name}.{format}"
        scenes = make_scene(maker, scene, device)
        try:
            figures = write_mesh(scenes, path, surface, made.note(*scene.seeds))
            lines.append(f"{path}: {figures}")
        except ValueError as error:
            failures.append(f"No mesh for {scene.name}: {error} (--level, --quantile).")
    print("\n".join(lines))
    if failures:
        raise DataError(" ".join(failures))
