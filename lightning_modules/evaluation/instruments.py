"""Measures scenes: features of their pictures, and figures of each of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from datamodules.build.disparity import stretched_disparity, to_disparity
from datamodules.errors import DataError
from datamodules.schema import Batch
from lightning_modules.evaluation.conditions import told_and_found
from lightning_modules.evaluation.feature_network import FeatureNetwork, Features, to_bytes
from lightning_modules.evaluation.flatness import view_flatness
from lightning_modules.evaluation.floaters import mask_fou, mesh_fou
from lightning_modules.evaluation.measures import Measures, thumbnails
from lightning_modules.evaluation.reprojection import reprojection
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.subjects import Seen, Subjects
from lightning_modules.evaluation.true_shapes import (
    TrueShapes,
    own_shape_figures,
    surface_clouds,
)
from lightning_modules.inference.meshing import scene_surface
from lightning_modules.labelling.depth_networks import DepthNetwork
from lightning_modules.losses.occlusion import visible_pixels
from lightning_modules.losses.perceptual import PerceptualLoss
from lightning_modules.metrics.depth import (
    aligned_disparity,
    depth_accuracy,
    normalised_depth_error,
)
from lightning_modules.metrics.image import (
    masked_correlation,
    masked_iou,
    masked_psnr,
    psnr,
    ssim,
)
from lightning_modules.metrics.reconstruction import SOLID
from models.scenes import Scenes, View
from renderers.cameras import Camera
from renderers.mesh import Mesh


@dataclass(frozen=True)
class Instruments:
    """What measures scenes.

    network: of features; lpips: of LPIPS; depth: sees the depth of rendered images, which without
    it is compared with that of the photographs; shapes: true ones. None where nothing asks.
    drawing: context in which scenes are made and rendered; figures are made of them outside.
    """

    settings: MetricSettings
    network: FeatureNetwork | None = None
    lpips: PerceptualLoss | None = None
    depth: DepthNetwork | None = None
    shapes: TrueShapes | None = None
    drawing: Callable[[], AbstractContextManager[object]] = nullcontext

    @torch.no_grad()
    def measure(self, subjects: Subjects, rows: range) -> Measures:
        """Make some of the scenes and measure them.

        Raises:
            DataError: a metric does not apply to such scenes.
        """
        settings = self.settings
        with self.drawing():
            seen = subjects.seen(rows)
        meshes = object_surfaces(seen.scenes, settings)
        figures, novel = of_geometry(seen, meshes, settings), Features.none(0)
        if seen.photographs is not None:
            figures |= self._of_photographs(seen, seen.photographs)
        if settings.asks("depth"):
            figures |= self._of_depth(seen)
        if settings.novel is not None:
            camera = subjects.novel_cameras(seen.seeds, *settings.novel.radians)
            camera = camera.to(seen.scenes.planes.device)
            turned = self._view(seen, camera)
            if settings.asks("fid_3d", "kid_3d"):
                novel = self._features(turned.rgb)
            if settings.asks("consistency"):
                canonical = self._view(seen, seen.scenes.canonical)
                figures |= of_consistency(seen, canonical, turned, camera)
        clouds = torch.zeros(len(rows), 0, 6)
        if settings.asks("shapes"):
            clouds = surface_clouds(meshes, settings.shape_points, seen.seeds)
            if seen.photographs is not None and self.shapes is not None:
                figures |= own_shape_figures(clouds, seen.photographs.keys, self.shapes)
        rotation = torch.full((len(rows), 3, 3), torch.nan)
        if seen.rotation is not None:
            rotation = seen.rotation.cpu().float()
        features = self._features(seen.image)
        small = thumbnails(seen.image)
        told = torch.zeros(len(rows), 0)
        if settings.asks("conditions"):
            told = told_and_found(seen)
        return Measures(seen.labels, features, novel, figures, rotation, small, clouds, told)

    def _view(self, seen: Seen, camera: Camera) -> View:
        """Scenes from elsewhere."""
        with self.drawing():
            return seen.scenes.view(camera, *seen.image.shape[-2:])

    def _features(self, images: Tensor) -> Features:
        return Features.none(len(images)) if self.network is None else self.network(images).cpu()

    def _of_photographs(self, seen: Seen, batch: Batch) -> dict[str, Tensor]:
        """Figures (B,) of what is rendered against photographs."""
        asks, target, found = self.settings.asks, batch.float_image(), dict[str, Tensor]()
        masked = batch.mask is not None and seen.scenes.space.background is not None
        if asks("psnr"):
            found["psnr"] = psnr(seen.image, target)
            if masked and batch.mask is not None:
                shown = visible_pixels(batch.mask).object
                found["object_psnr"] = masked_psnr(seen.view.rgb, target, shown)
        if asks("ssim"):
            found["ssim"] = ssim(seen.image, target)
        if asks("lpips"):
            assert self.lpips is not None  # opened where it is asked for
            found["lpips"] = self.lpips.per_image(seen.image, target)
        if asks("silhouette"):
            if not masked or batch.mask is None:
                raise DataError(
                    "silhouette is of objects alone, photographed with masks: leave it out of "
                    "--metrics."
                )
            visible = visible_pixels(batch.mask)
            solid = seen.view.opacity > SOLID
            found["silhouette_iou"] = masked_iou(solid, visible.object, visible.either)
        return {name: figure.double().cpu() for name, figure in found.items()}

    def _of_depth(self, seen: Seen) -> dict[str, Tensor]:
        """Accuracy (B,) of the rendered depth: by a network that sees the same picture, else by
        what is known of the photograph."""
        objects = seen.scenes.space.background is not None
        if self.depth is not None:
            given = seen_disparity(self.depth, seen.view.rgb)
            known = given > 0
            if objects:
                known &= seen.view.opacity.cpu() > SOLID
        else:
            assert seen.photographs is not None  # checked before anything is made
            given, known = stored_disparity(seen.photographs, objects)
        return depth_figures(seen.view.disparity.cpu(), given, known)


def object_surfaces(scenes: Scenes, settings: MetricSettings) -> list[Mesh | None]:
    """The surface of each scene, None of one that is opaque nowhere; no list entries where no
    metric asks."""
    meshes = list[Mesh | None]()
    scenes = replace(scenes, planes=scenes.planes.float())
    for index in range(len(scenes) if settings.asks("mesh_fou", "shapes") else 0):
        try:
            meshes.append(scene_surface(scenes[index : index + 1], settings.surface))
        except ValueError:  # it is opaque nowhere
            meshes.append(None)
    return meshes


def of_geometry(
    seen: Seen, meshes: Sequence[Mesh | None], settings: MetricSettings
) -> dict[str, Tensor]:
    """Figures (B,) float64 of scenes and their surfaces by themselves, NaN where there is nothing
    to see."""
    found = {}
    if settings.asks("nfs"):
        found["nfs"] = view_flatness(seen.view)
    if settings.asks("mask_fou"):
        found["mask_fou"] = mask_fou(seen.view.opacity)
    if settings.asks("mesh_fou"):
        shares = [mesh_fou(mesh) for mesh in meshes]
        found["mesh_fou"] = torch.tensor(shares, dtype=torch.float64)
    return found


def of_consistency(seen: Seen, canonical: View, turned: View, camera: Camera) -> dict[str, Tensor]:
    """Figures (B,) of how well the canonical view and a novel one, of a camera, show the same."""
    found = reprojection(canonical, seen.scenes.canonical, turned, camera)
    return {
        "reprojection_colour": found.colour.cpu(),
        "reprojection_depth": found.depth.cpu(),
        "covisible": found.covisible.cpu(),
    }


def seen_disparity(network: DepthNetwork, images: Tensor) -> Tensor:
    """Relative disparity (B, H, W) float32 that a network sees in images (B, 3, H, W) in [0, 1], on
    the CPU; 0 where it says nothing."""
    maps = [_relative(network, found) for found in network(to_bytes(images).cpu())]
    return torch.from_numpy(np.stack(maps).astype(np.float32))


def _relative(network: DepthNetwork, found: np.ndarray) -> np.ndarray:
    if network.gives == "depth":
        return to_disparity(found)
    try:
        return stretched_disparity(found)
    except ValueError:  # it says nothing about depth
        return np.zeros(found.shape, np.uint16)


def stored_disparity(photographs: Batch, objects: bool) -> tuple[Tensor, Tensor]:
    """Disparity (B, H, W) of photographs and where it is known, on the CPU; with masks and of
    scenes of objects alone only where they show the object."""
    known = photographs.disparity_known()
    if objects and photographs.mask is not None:
        known = known & visible_pixels(photographs.mask).object
    return photographs.disparity().cpu(), known.cpu()


def depth_figures(found: Tensor, given: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Accuracy (B,) float64 of disparity (B, H, W) against given one over its known pixels: error
    of the normalised maps, correlation, and share of depths within 1.25 of the given ones after the
    best factor and offset."""
    found, given, known = (x.flatten(1) for x in (found, given, known))
    aligned = aligned_disparity(found, given, known)
    figures = {
        "depth_error": normalised_depth_error(found, given, known),
        "depth_correlation": masked_correlation(found, given, known),
        "depth_delta": depth_accuracy(aligned, given, known),
    }
    return {name: values.double() for name, values in figures.items()}
