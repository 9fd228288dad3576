"""Edits of a photograph's tokens, and what they look like."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.encoded_photographs import photo_tokens
from lightning_modules.inference.photographs import enlarged, find_images, load_photograph
from lightning_modules.inference.regions import Corners, TokenBox, token_box
from lightning_modules.inference.scene_maker import TokenDrawer
from lightning_modules.pictures.drawing import colored_disparity, sheet
from models.autoencoder import TokenAutoencoder
from models.priors.token_prior import TO_SAMPLE

TURN = 0.3
"""Radians of yaw of the novel views, within what training judges."""


@dataclass(frozen=True)
class Photo:
    """A photograph (1, 3, side, side) in [0, 1], its tokens (1, T), and which are meant: those in
    the box, `inside` (T,) bool."""

    pixels: Tensor
    tokens: Tensor
    box: TokenBox
    inside: Tensor


@torch.no_grad()
def open_photo(
    model: TokenAutoencoder,
    name: str,
    region: Corners,
    option: str,
    device: str,
    named: str = "--image",
) -> Photo:
    """Read a photograph and encode it; errors call its region `option` and its file `named`.

    Raises:
        DataError: there is no such photograph, or its region is empty.
    """
    paths = find_images([name], named)
    if len(paths) != 1:
        raise DataError(f"{name} holds {len(paths)} photographs: name one with {named}.")
    box = token_box(region, model.layout, option)
    photo = load_photograph(paths[0], model.resolution, device)
    inside = box.mask(model.layout).to(device)
    return Photo(photo.pixels, photo_tokens(model, photo), box, inside)


def inserted_tokens(photo: Photo, source: Photo) -> Tensor:
    """Tokens (1, T) of a photograph with those of its box taken from the box of another.

    Raises:
        DataError: the boxes differ in size.
    """
    if str(photo.box) != str(source.box):
        raise DataError(
            f"--region holds {photo.box} tokens, --source_region {source.box}: they must be of one "
            "size."
        )
    tokens = photo.tokens.clone()
    tokens[:, photo.inside] = source.tokens[:, source.inside]
    return tokens


def redrawn_tokens(
    drawer: TokenDrawer, photo: Photo, label: int, seeds: Sequence[int], keep: bool
) -> Tensor:
    """Tokens (seeds, T) of a photograph with those in its box drawn anew, or all others (`keep`).

    label: of the class, -1 any; seeds: a result each.

    Raises:
        DataError: nothing is left to draw.
    """
    redrawn = ~photo.inside if keep else photo.inside
    if not redrawn.any():
        raise DataError("The region is the whole image, keep would draw nothing: make it smaller.")
    given = photo.tokens.masked_fill(redrawn, TO_SAMPLE).repeat(len(seeds), 1)
    return drawer.tokens([label] * len(seeds), seeds, given)


@torch.no_grad()
def edit_sheet(model: TokenAutoencoder, photos: list[Photo], tokens: Tensor, size: int) -> Tensor:
    """Sheet of three rows: image, disparity and turned view, a column a photograph and a scene.

    The photographs have their regions outlined, where tokens lie in images, and nothing below;
    tokens (N, T) are of the scenes.
    """
    camera = model.view.offset(torch.tensor([TURN]), torch.zeros(1)).to(tokens.device)
    columns = []
    for photo in photos:
        pixels = enlarged(photo.pixels, size)[0].cpu()
        blank = torch.ones_like(pixels)
        if model.layout.planes == 1:  # else the photograph may show another side of the box
            pixels = photo.box.outline(pixels, model.layout)
        columns.append(torch.stack([pixels, blank, blank]))
    for one in track(tokens.split(1), description="render"):
        scenes = model.decode_tokens(one)
        view = scenes.view(scenes.canonical, size, size)
        turned = scenes.view(camera, size, size).rgb
        columns.append(torch.cat([view.rgb, colored_disparity(view), turned]).cpu())
    return sheet(columns)
