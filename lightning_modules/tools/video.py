"""`wild3d video`: a camera that flies around scenes."""

from pathlib import Path

from datamodules.errors import Failures
from lightning_modules.inference.camera_paths import (
    Trajectory,
    VideoFormat,
    check_video,
    film,
    trajectory_cameras,
    write_video,
)
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import Device, Frames, FramesPerSecond, Pixels, Points
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import SceneChoice
from renderers.renderer import POINTS_PER_CHUNK


def video(
    checkpoint: str,
    out: str = "outputs/video",
    trajectory: Trajectory = "wiggle",
    formats: tuple[VideoFormat, ...] = ("mp4",),
    frames: Frames = 48,
    fps: FramesPerSecond = 24,
    size: Pixels = 256,
    points_per_chunk: Points = POINTS_PER_CHUNK,
    stage1: str | None = None,
    device: Device = AUTO,
    scenes: SceneChoice = SceneChoice(),
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Fly a camera around scenes of photographs, classes or stored tokens: a video each.

    Args:
        checkpoint: of stage 1 for photographs and tokens, of a prior for all, of a GAN for classes;
            or a file of `wild3d invert`, which holds one scene.
        out: folder for NAME-TRAJECTORY.mp4; NAME is the photograph's, CLASS-seedN, or what
            tokens or the file name the scene.
        trajectory: path of the camera. wiggle and front_arc stay within the views that training
            judges; orbit and spiral show what no loss has seen, but of a GAN trained on views from
            all around, for which they are the ones to look at.
        formats: mp4, gif or both.
        frames: of a video.
        fps: frames per second; a GIF rounds the time of a frame to 1/100 s.
        size: side of the pictures in pixels, even for mp4.
        points_per_chunk: field evaluations held in memory at once; the pictures do not depend on
            it.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        scenes: which scenes.
        sampling: how scenes of classes are drawn.
    """
    device = chosen_device(device)
    check_video(size, formats, fps)
    maker = open_maker(checkpoint, stage1, sampling, device)
    wanted = maker.wanted(scenes)
    camera = trajectory_cameras(maker.view, trajectory, frames)
    made, failures = made_now(checkpoint), Failures(len(wanted))
    for scene in wanted:
        with failures.kept():
            pictures = film(scene.make(), camera, size, scene.name, points_per_chunk)
            stem = Path(out) / f"{scene.name}-{trajectory}"
            for path in write_video(pictures, stem, formats, fps, made.note(*scene.seeds)):
                print(path)
    failures.tell()
