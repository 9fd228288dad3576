"""Tables of `docs/results.md`: which configurations are measured together, and how."""

from __future__ import annotations

from dataclasses import dataclass

FIDELITY = "--metrics fid kid is pr diversity fid_3d kid_3d nfs consistency"
OBJECTS = "mask_fou mesh_fou shapes pose conditions"
EMBEDDED_SHAPES = "--shapes data/shapeworld-shapes"
LOWPOLY_SHAPES = "--shapes data/lowpoly-shapes"
LOWPOLY_OBJECTS = "--pose_objects '^(.*)-[0-9]+$'"


@dataclass(frozen=True)
class Table:
    """Checkpoints of some configurations, measured alike by `wild3d evaluate`.

    name: of its files; title: says what is measured; configs: below configs/; root: of the images;
    features: run of the classifier whose features are compared, empty without one; options: of the
    command beside these; folders: that it reads too.
    """

    name: str
    title: str
    configs: tuple[str, ...]
    root: str
    features: str
    options: str
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A command of `benchmarks` whose printed tables are kept; runs: whose checkpoints it reads."""

    name: str
    title: str
    command: str
    runs: tuple[str, ...]


TABLES = (
    Table(
        "shapeworld-reconstructions",
        "Embedded data, photographs reconstructed",
        ("vq3d/stage1_shapeworld.yaml",),
        "data/shapeworld",
        "classifier-shapeworld",
        "--metrics psnr ssim depth consistency nfs fid kid fid_3d",
    ),
    Table(
        "shapeworld-hidden-reconstructions",
        "Embedded data, half hidden objects reconstructed",
        ("gina3d/stage1_shapeworld.yaml",),
        "data/shapeworld-hidden",
        "classifier-shapeworld",
        "--metrics psnr ssim silhouette depth consistency nfs mask_fou mesh_fou shapes kid "
        f"{EMBEDDED_SHAPES}",
        ("data/shapeworld-shapes",),
    ),
    Table(
        "shapeworld-scenes",
        "Embedded data, scenes drawn by priors",
        ("vq3d/stage2_shapeworld.yaml", "vq3d/stage2_shapeworld_masked.yaml"),
        "data/shapeworld",
        "classifier-shapeworld",
        f"--samples 200 {FIDELITY} depth --depth_network runs/depth-small/checkpoints/best.ckpt",
        ("runs/depth-small/checkpoints",),
    ),
    Table(
        "shapeworld-scenes-gan",
        "Embedded data, scenes drawn by the GAN and seen from all around",
        ("wildgan/scenes.yaml",),
        "data/shapeworld",
        "classifier-shapeworld",
        f"--samples 400 {FIDELITY} pose depth --depth_network "
        "runs/depth-small/checkpoints/best.ckpt",
        ("runs/depth-small/checkpoints",),
    ),
    Table(
        "shapeworld-objects",
        "Embedded data, objects drawn in boxes and seen as photographs see theirs",
        ("gina3d/stage2_shapeworld.yaml",),
        "data/shapeworld",
        "classifier-objects",
        f"--samples 400 {FIDELITY} {OBJECTS} {EMBEDDED_SHAPES}",
        ("data/shapeworld-shapes",),
    ),
    Table(
        "shapeworld-objects-gan",
        "Embedded data, objects drawn by the GAN and seen from all around",
        ("wildgan/shapeworld.yaml",),
        "data/shapeworld",
        "classifier-objects",
        f"--samples 400 {FIDELITY} {OBJECTS} {EMBEDDED_SHAPES}",
        ("data/shapeworld-shapes",),
    ),
    Table(
        "eth80-reconstructions",
        "ETH-80, photographs reconstructed",
        ("vq3d/stage1_eth80.yaml",),
        "data/eth80",
        "classifier-eth80",
        "--metrics psnr ssim consistency nfs fid kid fid_3d",
    ),
    Table(
        "eth80-gan",
        "ETH-80, drawn by the GAN and seen from the upper half of the sphere",
        ("wildgan/eth80.yaml",),
        "data/eth80",
        "classifier-eth80",
        f"--samples 400 {FIDELITY}",
    ),
    Table(
        "room-reconstructions",
        "A room, photographs reconstructed, against its depth sensor",
        ("vq3d/stage1_rgbd_room.yaml",),
        "data/room",
        "",
        "--metrics psnr ssim depth consistency nfs",
    ),
    Table(
        "lowpoly-reconstructions",
        "lowpoly, half hidden models that were never trained on reconstructed",
        ("gina3d/stage1_lowpoly.yaml",),
        "data/lowpoly-hidden",
        "classifier-lowpoly",
        "--metrics psnr ssim silhouette depth consistency nfs mask_fou mesh_fou shapes kid "
        f"{LOWPOLY_SHAPES}",
        ("data/lowpoly-shapes",),
    ),
    Table(
        "lowpoly-objects",
        "lowpoly, objects drawn in boxes and seen as photographs see theirs",
        ("gina3d/stage2_lowpoly.yaml",),
        "data/lowpoly",
        "classifier-lowpoly",
        f"--samples 200 {FIDELITY} {OBJECTS} {LOWPOLY_SHAPES} {LOWPOLY_OBJECTS}",
        ("data/lowpoly-shapes",),
    ),
    Table(
        "lowpoly-gan",
        "lowpoly, objects drawn by the GAN and seen from all around",
        ("wildgan/lowpoly.yaml",),
        "data/lowpoly",
        "classifier-lowpoly",
        f"--samples 200 {FIDELITY} {OBJECTS} {LOWPOLY_SHAPES} {LOWPOLY_OBJECTS}",
        ("data/lowpoly-shapes",),
    ),
)

REPORTS = (
    Report(
        "conditions",
        "Embedded data, what a prior is asked for against what its samples show",
        "python -m benchmarks.conditions --checkpoint "
        "runs/gina3d-shapeworld-prior/checkpoints/best.ckpt --classifier "
        "runs/classifier-blurred-objects/checkpoints/best.ckpt --samples 240 --turn 180 "
        "--photographs data/shapeworld",
        ("gina3d-shapeworld-prior", "classifier-blurred-objects"),
    ),
    Report(
        "lowpoly-novel-views",
        "lowpoly, one photograph reconstructed and seen from the fifteen other sides",
        "python -m benchmarks.novel_views --source LOWPOLY --root data/lowpoly-hidden "
        "runs/gina3d-lowpoly/checkpoints/best.ckpt runs/vq3d-lowpoly/checkpoints/best.ckpt",
        ("gina3d-lowpoly", "vq3d-lowpoly"),
    ),
)
