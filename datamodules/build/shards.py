"""The ``wild3d shards`` command: a folder of images, or ImageNet's tars, to a shard root."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

from rich.console import Console

from datamodules.build.attributes import SUFFIX, count_unmatched, have_cameras
from datamodules.build.driver import REJECTED_NAME, build_shards
from datamodules.build.folder_samples import (
    FolderSamples,
    Listed,
    Sidecars,
    list_file,
    with_occluders,
)
from datamodules.build.inputs import check_mask_codes, image_fingerprint, sidecar_fingerprint
from datamodules.build.maps import DepthKind
from datamodules.build.prepare import ImageFormat, Preparation, Resize
from datamodules.build.sources import FoundImages, find_images
from datamodules.build.split import image_groups, keep_usable, split_images
from datamodules.errors import DataError, check_number, counted
from datamodules.files import telling_full_disk
from datamodules.image_header import MAX_SIDE
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter
from datamodules.modalities import VAL
from datamodules.places import check_outside
from datamodules.ranges import Fraction, Range, Resolution, Seed, ShardSize, Workers


def shards(
    source: str,
    out: str,
    resolution: Resolution = 256,
    resize: Resize = "short_side+center_crop",
    classes: list[str] | str | None = None,
    masks: str | None = None,
    depth: str | None = None,
    depth_kind: DepthKind = "metres_mm",
    attributes: str | None = None,
    occluded: Fraction = 0.0,
    occluded_cover: tuple[Fraction, Fraction] = (0.3, 0.6),
    val_fraction: Fraction = 0.02,
    val_groups: str | None = None,
    samples_per_shard: ShardSize = 1000,
    image_format: ImageFormat = "jpg",
    quality: Annotated[int, Range(1, 100)] = 95,
    seed: Seed = 0,
    workers: Workers = 2,
) -> Manifest:
    """Write shards from a folder of images (class/name.jpg) or from ImageNet's train tars.

    The same command again continues after an interruption; the same inputs give the same bytes.
    Other settings, or files that were added, removed or changed in size, need another `out`. Images
    that cannot be read are listed in rejected.csv.

    Args:
        source: folder of class folders, of one tar a class, or of loose images without class.
        out: folder to write; it gets manifest.json, train/ and val/.
        resolution: side of the stored squares in pixels.
        resize: keep proportions and crop the middle, squash to a square, or keep files as they are.
        classes: class folders to take, or a text file of them, one a line; in label order.
        masks: folder of masks under the same names (.png): 0 background, 1 object, 2 occluder,
            255 unknown.
        depth: folder of depth maps under the same names (16-bit .png), 0 unknown.
        depth_kind: whether depth is in millimetres or already relative disparity.
        attributes: folder of what else is known, under the same names (.json): camera, size,
            time_of_day, semantics.
        occluded: share of the images over whose object that of an image of another class is laid,
            as an occluder whose hidden part is known; needs masks.
        occluded_cover: least and most share of the object that is hidden then, where an occluder
            is large enough.
        val_fraction: share of the images for validation, chosen by a hash of their names.
        val_groups: regular expression; images in whose names its first group finds the same go to
            the same split, e.g. "(.*)-[0-9]+" for views of objects; each class gives its share.
        samples_per_shard: images in one tar.
        image_format: of images that are encoded anew.
        quality: of JPEGs that are encoded anew, 1 to 100.
        seed: decides the order in the shards, which mix all classes.
        workers: processes.
    """
    preparation = Preparation(resolution, resize, image_format, quality)
    _check(resolution, val_fraction, samples_per_shard, quality, (masks, depth, attributes))
    _check_occluded(occluded, occluded_cover, masks, resize)
    check_outside(out, (source, masks, depth, attributes))
    found = find_images(source, classes)
    images, listed = found.images, found.classes
    if masks is not None:
        check_mask_codes(images, masks)
    cameras = have_cameras(images, attributes)
    sidecars = Sidecars(masks, depth, depth_kind, attributes, occluded_cover, cameras)
    parameters: dict[str, Parameter] = {
        "tool": "wild3d shards",
        "images": image_fingerprint(images, listed.names),
        "masks": sidecar_fingerprint(images, masks),
        "depth": sidecar_fingerprint(images, depth),
        "depth_kind": depth_kind if depth is not None else None,
        "val_fraction": val_fraction,
        "samples_per_shard": samples_per_shard,
        "seed": seed,
        **asdict(preparation),
    }
    # Only where they say anything, so that roots written before there were such still match.
    if attributes is not None:
        parameters["attributes"] = sidecar_fingerprint(images, attributes, SUFFIX)
    if occluded:
        parameters |= {"occluded": occluded, "occluded_cover": " ".join(map(str, occluded_cover))}
    if val_groups is not None:
        parameters["val_groups"] = val_groups
    complete = Path(out, MANIFEST_NAME).exists()
    with tempfile.TemporaryDirectory(prefix="wild3d-") as lists:
        samples = FolderSamples(lists, listed.names, preparation, sidecars, seed)
        splits = split_images(images, val_fraction, seed, image_groups(images, val_groups))
        if val_groups is None:
            splits = keep_usable(splits, samples.usable, seed)
        dealt = {name: with_occluders(part, occluded, seed) for name, part in splits.items()}
        with telling_full_disk(Path(lists)):
            counts = _write_lists(Path(lists), dealt, samples_per_shard)
        stored = None if resize == "none" else resolution
        manifest = build_shards(out, counts, samples, workers, listed.names, stored, parameters)
    if complete:
        print(f"{out}: already complete, nothing to do")
    _report(manifest, out, found, val_fraction)
    if attributes is not None and (unmatched := count_unmatched(images, attributes)):
        print(f"{attributes} has {counted(unmatched, 'file')} of no image that was taken")
    return manifest


def _write_lists(
    folder: Path, splits: dict[str, Iterator[Listed]], samples_per_shard: int
) -> dict[str, list[int]]:
    """Write the list of images of every shard; return how many each has."""
    counts: dict[str, list[int]] = {}
    for split, images in splits.items():
        counts[split] = []
        while lines := [one.line() for one in islice(images, samples_per_shard)]:
            list_file(folder, split, len(counts[split])).write_text("\n".join(lines))
            counts[split].append(len(lines))
    return counts


def _check(
    resolution: int,
    val_fraction: float,
    samples_per_shard: int,
    quality: int,
    folders: Sequence[str | None],
) -> None:
    if resolution < 1 or samples_per_shard < 1:
        raise DataError(
            f"resolution {resolution} and samples_per_shard {samples_per_shard} must be at least 1."
        )
    check_number("resolution", resolution, 1, MAX_SIDE)
    if not 0 <= val_fraction < 1:
        raise DataError(f"val_fraction is {val_fraction}, it must be at least 0 and below 1.")
    if not 1 <= quality <= 100:
        raise DataError(f"quality is {quality}, it must be 1 to 100.")
    for folder in folders:
        if folder is not None and not (folder and Path(folder).is_dir()):
            raise DataError(f"sidecar folder {folder or repr('')} does not exist.")


def _check_occluded(
    share: float, cover: tuple[float, float], masks: str | None, resize: Resize
) -> None:
    if not share:
        return
    if masks is None:
        raise DataError("occluded lays masked objects over others: give --masks, or set it to 0.")
    if resize == "none":
        raise DataError("occluded needs images of one size: set resize, or occluded to 0.")
    if not 0 <= cover[0] <= cover[1] <= 1:
        raise DataError(
            f"occluded_cover is {cover[0]} {cover[1]}, it must be two shares from 0 to 1, the "
            "smaller first."
        )


def _report(manifest: Manifest, out: str, found: FoundImages, val_fraction: float) -> None:
    # Names may have brackets and colons, and stay whole where lines are long.
    console = Console(markup=False, emoji=False, soft_wrap=True)
    written = 0
    for split, entries in manifest.splits.items():
        written += manifest.samples(split)
        size = sum(file.bytes for shard in entries for file in shard.files.values())
        console.print(
            f"{split}: {counted(manifest.samples(split), 'image')} in "
            f"{counted(len(entries), 'shard')}, {size / 1e6:.1f} MB"
        )
    if val_fraction > 0 and VAL not in manifest.splits:
        console.print(f"{VAL}: no image is left for validation")
    if found.classes.names:
        sizes = Counter(image.label for image in found.images).values()
        classes = counted(len(found.classes.names), "class", "classes")
        console.print(f"{classes} of {min(sizes)} to {counted(max(sizes), 'image')}")
    for sentence in found.passed.sentences():
        console.print(sentence)
    if rejected := len(found.images) - written:
        console.print(f"{counted(rejected, 'image')} rejected, see {out}/{REJECTED_NAME}")
