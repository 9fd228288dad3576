"""`wild3d label depth`, `mask` and `files`: labels of the images of finished shards."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from datamodules.build.label_files import (
    FileLabels,
    Kind,
    MapReading,
    check_some_match,
    files_by_key,
)
from datamodules.build.labelling import Share, label_shards, unknown_file
from datamodules.build.linked import linked_root
from datamodules.build.notes import read_reasons
from datamodules.errors import DataError, counted
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK
from datamodules.ranges import Fraction, Range
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import check_holds_images
from lightning_modules.inference.computing import AUTO, Precision, chosen_precision
from lightning_modules.inference.limits import BatchSize, Device
from lightning_modules.inference.processes import Place
from lightning_modules.labelling.class_map import CODES, ROLES
from lightning_modules.labelling.depth_networks import Gives, open_depth_network
from lightning_modules.labelling.labeller import ImageLabeller, LabelNetwork
from lightning_modules.labelling.mask_networks import MaskNetwork, class_map_for, open_segmenter
from lightning_modules.labelling.preview import LabelModality, preview
from lightning_modules.labelling.transformers_segmenter import Task
from lightning_modules.pictures.drawing import write_png

MOST_REASONS = 10
"""Why labels are unknown that are printed."""


@dataclass(frozen=True)
class Labelling:
    """How labels are made.

    Args:
        out: root to label, made of links to the files of `root` and of all its sidecars but the
            one to be made; by default `root` itself.
        preview: make no labels but a sheet of so many images, spread over the root.
        sheet: where the sheet is written.
        batch_size: images looked at together.
        threads: that decode images.
    """

    out: str | None = None
    preview: Annotated[int, Range(1, 1000)] | None = None
    sheet: str = "outputs/labels.png"
    batch_size: BatchSize = 16
    threads: Annotated[int, Range(1, 256)] = 2


def label_depth(
    network: str,
    root: str,
    gives: Gives | None = None,
    precision: Precision | None = None,
    flip: bool = False,
    device: Device = AUTO,
    labelling: Labelling = Labelling(),
) -> None:
    """Write the depth that a network sees in the images of shards beside them, as training's pseudo
    depth: 16-bit disparity, relative in each image.

    Started by torchrun or SLURM, each process takes whole shards, on a GPU of its own where there
    are several. The same command again continues after an interruption. An image that the network
    fails on gets unknown depth and is listed in unknown-depth.csv. Nothing is downloaded.

    Args:
        network: transformers:NAME or transformers:FOLDER of a model for depth estimation, e.g.
            transformers:Intel/dpt-large; or the checkpoint of `configs/labels/depth_small.yaml`.
        root: folder of image shards.
        gives: what the network gives, where its configuration does not say it.
        precision: of its arithmetic; by default bf16 on a GPU and float32 elsewhere.
        flip: average with what it sees in the mirrored image, for twice the time.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        labelling: how labels are made.
    """
    device = Place.found(os.environ).own_device(device)
    chosen = chosen_precision(precision, device)
    _label(DEPTH, root, labelling, lambda: open_depth_network(network, device, chosen, flip, gives))


def label_mask(
    network: str,
    root: str,
    classes: str | None = None,
    task: Task = "semantic",
    weights: str | None = None,
    threshold: Fraction = 0.5,
    device: Device = AUTO,
    labelling: Labelling = Labelling(),
) -> None:
    """Write masks of the images of shards beside them: which pixels show the object, which what may
    be before it, and which what is behind it.

    Started by torchrun or SLURM, each process takes whole shards, on a GPU of its own where there
    are several. The same command again continues after an interruption. An image without an object
    gets an unknown mask and is listed in unknown-mask.csv. Nothing is downloaded.

    Args:
        network: transformers:NAME or transformers:FOLDER of a segmentation model; torchvision:NAME,
            e.g. torchvision:maskrcnn_resnet50_fpn; or a YAML file that describes an ONNX file.
        root: folder of image shards.
        classes: YAML file of which classes are the object, occluders and background; an ONNX
            network's foreground is the object without one.
        task: of a model of transformers.
        weights: state dict of torchvision's network; by default it is looked for in torch's cache.
        threshold: least score of a part that counts, of panoptic and instance models.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        labelling: how labels are made.
    """
    class_map = class_map_for(network, classes)
    device = Place.found(os.environ).own_device(device)

    def opened() -> MaskNetwork:
        return MaskNetwork.of(open_segmenter(network, task, weights, threshold, device), class_map)

    _label(MASK, root, labelling, opened)


def label_files(
    files: str,
    root: str,
    kind: Kind,
    codes: tuple[str, ...] = (),
    out: str | None = None,
) -> None:
    """Write label files of other tools beside the images of shards: PNG, TIFF and PFM, NPY, NPZ and
    EXR of integers or floats, depth or masks, of any size.

    Files are found by the names of the images, `<class>/<name>` as below the source of the shards
    or loose, a tail such as `_depth` left out. A map of other proportions than its image is cut to
    the middle square as the image was. An image without a usable file gets an unknown label and is
    listed in unknown-depth.csv or unknown-mask.csv. The same command again continues after an
    interruption.

    Args:
        files: folder of the files.
        root: folder of image shards.
        kind: what the numbers are: depth in any unit of length; disparity, true up to a factor;
            relative disparity, true up to an offset too, as networks give it; or mask. Depth and
            disparity that are not above 0 or not finite are unknown.
        codes: what the numbers of masks mean, e.g. 0=background 255=object, where they are not
            0 background, 1 object, 2 occluder, 255 unknown.
        out: root to label, made of links to the files of `root`; by default `root` itself.
    """
    reading, found = MapReading(kind, _codes(codes, kind)), files_by_key(files)
    source = read_manifest(root)
    check_holds_images(source, root)
    check_some_match(root, found)
    if out is not None:
        linked_root(root, out, reading.modality)
        root = out
    squared = source.parameters.get("resize") == "short_side+center_crop"
    labels = FileLabels(root, found, reading, squared)
    manifest = label_shards(root, reading.modality, labels.made(), labels)
    assert manifest is not None  # nobody else has a share
    _tell(manifest, root, reading.modality)


def _codes(words: Sequence[str], kind: Kind) -> dict[int, int]:
    """Mask codes of numbers, from words such as 255=object."""
    if words and kind != "mask":
        raise DataError("--codes says what numbers of masks mean: leave it out, or --kind mask.")
    found = {}
    for word in words:
        number, _, role = word.partition("=")
        if not number.isdecimal() or role not in ROLES:
            raise DataError(
                f"--codes has {word!r}: give a number, = and one of {', '.join(ROLES)}."
            )
        found[int(number)] = CODES[role]
    return found


def _label(
    modality: LabelModality, root: str, options: Labelling, opened: Callable[[], LabelNetwork]
) -> None:
    check_holds_images(read_manifest(root), root)
    network = opened()
    if options.preview is not None:
        labeller = ImageLabeller(root, network, options.batch_size, options.threads)
        write_png(
            Path(options.sheet), preview(labeller, read_manifest(root), modality, options.preview)
        )
        print(f"{options.sheet}: image, label and both; leave --preview out to make the labels")
        return
    if options.out is not None:
        linked_root(root, options.out, modality)
        root = options.out
    place = Place.found(os.environ)
    share = Share(place.rank, place.world)
    labeller = ImageLabeller(root, network, options.batch_size, options.threads)
    manifest = label_shards(root, modality, network.made(), labeller, share)
    if manifest is None:
        print(f"process {share.rank} of {share.world} is through with its shards of {root}")
    else:
        _tell(manifest, root, modality)


def _tell(manifest: Manifest, root: str, modality: str) -> None:
    images = sum(manifest.samples(split) for split in manifest.splits)
    print(f"{modality} of {counted(images, 'image')} in {root}")
    unknown = read_reasons(unknown_file(root, modality))
    if unknown:
        print(f"{counted(len(unknown), 'label')} unknown, see {unknown_file(root, modality)}:")
    for reason, count in Counter(each.reason for each in unknown).most_common(MOST_REASONS):
        print(f"  {count} x {reason}")
