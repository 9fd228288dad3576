"""Photographs with colour profiles, against Pillow's own conversion."""

import io

import pytest
from photo_bytes import SIZE, noise, same, saved
from PIL import Image, ImageCms

from datamodules.photograph import open_photograph, read_photograph


def profile(gamma: float, *, grey: bool = False, swapped: bool = False) -> bytes:
    """A profile of a power curve, on sRGB's primaries or with red and green changed round."""
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"desc": b"desc" + bytes(86)}
    curve = b"curv" + bytes(4) + (1).to_bytes(4) + round(gamma * 256).to_bytes(2) + bytes(2)
    if grey:
        tags[b"kTRC"] = curve
    else:
        red, green = xyz(0.4360, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971)
        tags[b"rXYZ"], tags[b"gXYZ"] = (green, red) if swapped else (red, green)
        tags[b"bXYZ"] = xyz(0.1431, 0.0606, 0.7141)
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + (start + len(data)).to_bytes(4) + len(content).to_bytes(4)
        data += content + bytes(-len(content) % 4)
    space = b"GRAY" if grey else b"RGB "
    head = bytes(4) + bytes(4) + b"\2\x40\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + xyz(0.9642, 1.0, 0.8249)[8:] + bytes(48)
    body = head[4:128] + len(tags).to_bytes(4) + table + data
    return (4 + len(body)).to_bytes(4) + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(round(v * 65536).to_bytes(4) for v in values)


def converted(picture: Image.Image, icc: bytes) -> Image.Image:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, source, srgb, outputMode="RGB")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colours_of_another_profile_become_srgb(kind):
    icc = profile(1.8, swapped=True)
    options = {"lossless": True} if kind == "WEBP" else {}
    read = open_photograph(saved(noise("RGB"), kind, icc_profile=icc, **options))
    assert same(read.image, converted(noise("RGB"), icc))
    assert not same(read.image, noise("RGB"))
    assert not read.plain


def test_profiles_of_grey_of_palettes_and_beside_transparency():
    grey, colour = profile(1.0, grey=True), profile(1.0)
    content = saved(noise("L"), "PNG", icc_profile=grey)
    assert same(read_photograph(content), converted(noise("L"), grey))
    content = saved(noise("P"), "PNG", icc_profile=colour)
    assert same(read_photograph(content), converted(noise("P").convert("RGB"), colour))
    both = noise("RGBA")
    expected = converted(both.convert("RGB"), colour)
    expected.putalpha(both.getchannel("A"))
    white = Image.alpha_composite(Image.new("RGBA", SIZE, "white"), expected).convert("RGB")
    assert same(read_photograph(saved(both, "PNG", icc_profile=colour)), white)


def test_a_profile_that_is_srgb_in_effect_changes_no_pixel():
    named = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    read = open_photograph(saved(noise("RGB"), "PNG", icc_profile=named))
    assert same(read.image, noise("RGB"))
    assert read.plain


@pytest.mark.parametrize(
    "icc", [b"nonsense", profile(1.0)[:200], profile(1.0, grey=True), b"\0" * 200]
)
def test_a_profile_that_is_broken_or_of_other_colours_is_left_out(icc):
    assert same(read_photograph(saved(noise("RGB"), "PNG", icc_profile=icc)), noise("RGB"))
