"""`wild3d video`: a camera that flies around scenes."""

from pathlib import Path

from lightning_modules.tools.camera_paths import (
    Trajectory,
    VideoFormat,
    check_video,
    film,
    trajectory_cameras,
    write_video,
)
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.sampling_options import Precision, SamplingOptions
from lightning_modules.tools.scene_choice import SceneChoice, make_scene, wanted_scenes
from lightning_modules.tools.scene_makers import open_maker


def video(
    checkpoint: str,
    images: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
    seeds: tuple[int, ...] | None = None,
    tokens: str | None = None,
    rows: tuple[int, ...] = (),
    out: str = "outputs/video",
    trajectory: Trajectory = "wiggle",
    formats: tuple[VideoFormat, ...] = ("mp4",),
    frames: int = 48,
    fps: int = 24,
    size: int = 256,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    precision: Precision | None = None,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Fly a camera around scenes of photographs, classes or stored tokens: a video each.

    Args:
        checkpoint: of stage 1 for photographs and tokens, of a prior for all.
        images: photographs or folders of them, e.g. a.jpg b.jpg.
        classes: names or numbers of classes to draw, e.g. chair mug, or all, or any to leave the
            class open.
        seeds: of the scenes drawn of each class, e.g. 0,1,2; by default 0.
        tokens: what `wild3d sample` or `wild3d edit` wrote with the same stage-1 model, e.g.
            outputs/sample/tokens.npz.
        rows: numbers of scenes in that file from 0, e.g. 0,5,7; by default all.
        out: folder for NAME-TRAJECTORY.mp4; NAME is the photograph's, CLASS-seedN, or what
            tokens name the scene.
        trajectory: path of the camera. wiggle and front_arc stay within the views that training
            judges; orbit and spiral show what no loss has seen.
        formats: mp4, gif or both.
        frames: of a video.
        fps: frames per second; a GIF rounds the time of a frame to 1/100 s.
        size: side of the pictures in pixels, even for mp4.
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
    check_video(size, formats, fps)
    options = SamplingOptions(temperature, top_k, top_p, guidance, precision)
    choice = SceneChoice(images, classes, seeds, tokens, rows, options)
    maker = open_maker(checkpoint, stage1, options, device)
    wanted = wanted_scenes(maker, choice)
    camera = trajectory_cameras(maker.autoencoder.view, trajectory, frames)
    made = made_now(checkpoint)
    for scene in wanted:
        pictures = film(make_scene(maker, scene, device), camera, size, scene.name)
        stem = Path(out) / f"{scene.name}-{trajectory}"
        for path in write_video(pictures, stem, formats, fps, made.note(*scene.seeds)):
            print(path)
