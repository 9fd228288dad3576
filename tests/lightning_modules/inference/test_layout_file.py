import math
import re
from pathlib import Path

import pytest
import torch
from tiny_boxes import write_layout

from datamodules.errors import DataError
from lightning_modules.inference.layout import (
    Between,
    Drawn,
    FromPhoto,
    FromTokens,
    LayoutCamera,
    Stand,
)
from lightning_modules.inference.layout_file import read_layout
from lightning_modules.inference.sampling_options import SamplingOptions
from renderers.cameras import project

DOCUMENT = Path(__file__).parents[3] / "docs" / "tools.md"
STREET = """
background: street.jpg
camera: {radius: 12, yaw_degrees: -20, target: [0, 1, 0]}
assets:
  car: &car
    class: truck
    seed: 3
    size_condition: [4.5, 1.9, 1.6]
    at: [0, 0, 4]
    heading_degrees: 90
    scale: 2
    stretch: [1, 0.5, 1]
  car by night:
    <<: *car
    time_of_day: night
    semantics: street.npy
    at: [0, 0, -4]
  hedge: {image: street.jpg, at: [8, 0, 0]}
  stored: {tokens: street.npz, row: 2, shown: false}
  one more: {class: 7}
  between: {between: [stored, hedge], share: 0.25, at: [-8, 0, 0]}
"""


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A folder with a layout and the files that it names."""
    for name in ("street.jpg", "street.npy", "street.npz"):
        (tmp_path / name).write_bytes(b"x")
    write_layout(tmp_path, STREET)
    return tmp_path


def test_a_layout_says_where_assets_come_from_and_stand(street: Path) -> None:
    layout = read_layout(str(street / "street.yaml"))
    photo = str(street / "street.jpg")
    options = SamplingOptions(size_condition=(4.5, 1.9, 1.6))
    night = SamplingOptions(
        size_condition=(4.5, 1.9, 1.6), time_of_day="night", semantics=str(street / "street.npy")
    )
    assert [(asset.name, asset.source) for asset in layout.assets] == [
        ("car", Drawn("truck", 3, options)),
        ("car by night", Drawn("truck", 3, night)),
        ("hedge", FromPhoto(photo)),
        ("stored", FromTokens(str(street / "street.npz"), 2)),
        ("one more", Drawn("7")),
        ("between", Between(("stored", "hedge"), 0.25)),
    ]
    assert layout.background == photo
    assert layout.camera == LayoutCamera(12, yaw_degrees=-20, target=(0, 1, 0))
    assert layout.assets[1].stand == Stand((0, 0, -4), 90, 2, (1, 0.5, 1))
    placement = layout.assets[1].stand.placement
    assert placement.position == (0, 0, -4)
    assert placement.heading == pytest.approx(math.pi / 2)
    assert placement.stretch == (2, 1, 2)


def test_a_photograph_may_be_one_in_shards(street: Path) -> None:
    (street / "cars").mkdir()
    (street / "cars/manifest.json").touch()
    path = write_layout(street, "assets: {a: {image: cars/key}}", "cars.yaml")
    assert read_layout(path).assets[0].source == FromPhoto(str(street / "cars/key"))


def test_what_is_not_shown_is_made_only_for_those_between(street: Path) -> None:
    layout = read_layout(str(street / "street.yaml"))
    assert "stored" not in {asset.name for asset in layout.shown}
    assert "stored" in {asset.name for asset in layout.needed}
    alone = "assets: {a: {class: x}, b: {class: x, shown: false}}"
    layout = read_layout(write_layout(street, alone, "alone.yaml"))
    assert [asset.name for asset in layout.needed] == ["a"]
    assert (layout.background, layout.camera) == (1.0, LayoutCamera())


@pytest.mark.parametrize(("target", "fov"), [(None, 40.0), ((5.0, 0.0, 0.0), 70.0)])
def test_the_camera_frames_all_boxes_from_every_side(
    target: tuple[float, float, float] | None, fov: float
) -> None:
    corners = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)) * 3 + 2
    camera = LayoutCamera(fov_degrees=fov, target=target)
    cameras = camera.around(corners, torch.linspace(0, 6, 7))
    pixels, depth = project(corners.expand(7, 16, 3), cameras)
    assert depth.min() > 0
    assert pixels.min() > 0
    assert pixels.max() < 1
    assert (pixels - 0.5).abs().max() > 0.3  # and does not stay far away
    middle = torch.tensor(target) if target else (corners.amin(0) + corners.amax(0)) / 2
    looked_at, _ = project(middle.expand(7, 1, 3), cameras)
    torch.testing.assert_close(looked_at, torch.full((7, 1, 2), 0.5))


def test_a_camera_stands_where_the_layout_says() -> None:
    camera = LayoutCamera(2.0, yaw_degrees=90, pitch_degrees=0, target=(1, 1, 0))
    position = camera.around(torch.zeros(1, 3), torch.tensor([0.0, math.pi / 2])).position
    torch.testing.assert_close(position, torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, -2.0]]))


ONE = "assets: {a: {class: x, %s}}"
TWO = "assets: {car: {class: x}, van: {class: y}, mid: {between: [%s]}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("background: 1", "there is no asset: name at least one under assets"),
        ("assets: {}", "there is no asset"),
        ("assets: [a]", "assets is a list, it must be settings by name"),
        ("asets: {a: {class: x}}", "the layout has the unknown key 'asets': did you mean assets?"),
        ("assets: {a: 3}", "assets.a is 3, it must be settings by name"),
        ("assets: {a: }", "assets.a comes from nothing: give it one of class, image, tokens, b"),
        ("assets: {a: {at: [0, 0, 0]}}", "assets.a comes from nothing"),
        ("assets: {a: {clas: x}}", "assets.a has the unknown key 'clas': did you mean class?"),
        ("assets: {a: {class: x, image: street.jpg}}", "assets.a has class and image: it comes"),
        ("assets: {a: {image: street.jpg, seed: 1}}", "a is of `image`, to which seed does noth"),
        ("assets: {a: {tokens: street.npz, share: 1}}", "`tokens`, to which share does nothing"),
        ("assets: {a: {image: none.jpg}}", r"a.image is 'none.jpg', which is no file there: paths"),
        ("assets: {a: {image: 3}}", "assets.a.image is 3, not str"),
        ("assets: {a: {tokens: ''}}", "assets.a.tokens is empty"),
        ("assets: {a: {tokens: street.npz, row: -1}}", "assets.a.row is -1, it must be from 0"),
        (ONE % "semantics: none.npy", "assets.a.semantics is 'none.npy', which is no file"),
        (ONE % "haeding_degrees: 1", "unknown key 'haeding_degrees': did you mean heading_deg"),
        (ONE % "heading_degrees: 400", "a.heading_degrees is 400, it must be from -360 to 360"),
        (ONE % "heading_degrees: north", "a.heading_degrees is 'north', not float"),
        (ONE % "at: [0, 0]", "assets.a.at has 2 values, not 3"),
        (ONE % "at: [0, 0, 1.0e+99]", r"assets.a.at is 1e\+99, it must be from -1,000,000"),
        (ONE % "at: [0, .nan, 0]", "assets.a.at is nan, it must be"),
        (ONE % "scale: 0", "assets.a.scale is 0, it must be from 0.01 to 100"),
        (ONE % "scale: .inf", "assets.a.scale is inf"),
        (ONE % "stretch: [1, -1, 1]", "assets.a.stretch is -1"),
        (ONE % "seed: -1", "assets.a.seed is -1, it must be from 0"),
        (ONE % "seed: yes", "assets.a.seed is True, not int"),
        (ONE % "temperature: -1", "assets.a.temperature is -1, it must be from 0"),
        (ONE % "time_of_day: noon", "assets.a.time_of_day is 'noon', not one of day, dawn_dusk, n"),
        (ONE % "size_condition: [1, 2]", "assets.a.size_condition has 2 values, not 3"),
        (ONE % "shown: false", "every asset has `shown: false`"),
        ("assets: {a: {class: [x]}}", "assets.a.class is a list, not str"),
        ('assets: {"": {class: x}}', "an asset is called '': give it a name of 1 to 100"),
        (r'assets: {"a\n": {class: x}}', "an asset is called"),
        (TWO % "car, vam", "assets.mid.between names 'vam', which is no asset: did you mean van?"),
        (TWO % "car, mid", "assets.mid.between names mid itself"),
        (TWO % "car", "assets.mid.between has 1 values, not 2"),
        (TWO % "car, van], share: 2, at: [0, 0, 0", "assets.mid.share is 2, it must be from 0 to"),
        (
            TWO % "car, van]}, b: {between: [mid, car",
            "assets.b.between names mid, which is itself between two",
        ),
        ("background: none.jpg\n" + ONE % "seed: 1", "background is 'none.jpg', which is no"),
        ("background: 2\n" + ONE % "seed: 1", "background is 2, it must be from 0 to 1"),
        ("background: [1]\n" + ONE % "seed: 1", "background is a list, not float"),
        ("camera: 3\n" + ONE % "seed: 1", "camera is 3, it must be settings by name"),
        ("camera: {yaw: 3}\n" + ONE % "seed: 1", "camera has the unknown key 'yaw'"),
        ("camera: {radius: 0}\n" + ONE % "seed: 1", "camera.radius is 0, it must be from 0.0001"),
        ("camera: {fov_degrees: 180}\n" + ONE % "seed: 1", "camera.fov_degrees is 180"),
        ("camera: {pitch_degrees: 91}\n" + ONE % "seed: 1", "camera.pitch_degrees is 91"),
        (
            "assets:\n" + "".join(f"  a{n}: {{class: x}}\n" for n in range(257)),
            "the number of assets is 257, it must be from 1 to 256",
        ),
        ("assets: &a {a: *a}", "repeats \\*a within itself"),
        ("assets: " + "[" * 1000, "more than 64 levels"),
        ("assets: {a: {class: x}, a: {class: x}}", "has 'a' twice"),
        ("- a", "holds a list"),
    ],
)
def test_a_layout_that_is_none_is_refused_in_one_sentence(
    text: str, sentence: str, street: Path
) -> None:
    path = write_layout(street, text, "bad.yaml")
    with pytest.raises(DataError, match=sentence) as caught:
        read_layout(path)
    told = str(caught.value)
    assert told.startswith(f"{path}")
    assert told.endswith((".", "?"))
    assert "\n" not in told
    assert len(told) < 500


def test_the_layouts_of_the_documentation_are_layouts(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("sky.jpg", "tokens.npz", "photos/a.jpg"):
        (tmp_path / name).write_bytes(b"x")
    texts = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    counts = [len(read_layout(write_layout(tmp_path, text)).assets) for text in texts]
    assert counts == [2, 5]


def test_a_layout_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*none\.yaml: check --layout"):
        read_layout(str(tmp_path / "none.yaml"))
    with pytest.raises(DataError, match="which is a folder: name a YAML file"):
        read_layout(str(tmp_path))
