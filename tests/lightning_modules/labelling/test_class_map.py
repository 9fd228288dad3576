from pathlib import Path

import numpy as np
import pytest
from torchvision.models import get_model_weights

from datamodules.errors import DataError
from lightning_modules.labelling.class_map import (
    ClassMap,
    Segments,
    read_class_map,
    segment_codes,
)
from lightning_modules.labelling.onnx_segmenter import read_onnx_settings

NAMES = {0: "road", 1: "Car", 3: "tree"}
DRIVING = ClassMap(object=("car",), occluder=("tree",), rest="background")


LABELS = Path(__file__).parents[3] / "configs" / "labels"
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train"),
    *("motorcycle", "bicycle"),
)


def shipped_names(name: str) -> dict[int, str]:
    """Classes of the networks that a shipped class map is for."""
    if name == "cityscapes_vehicles":
        return dict(enumerate(CITYSCAPES))
    weights = get_model_weights("maskrcnn_resnet50_fpn_v2").DEFAULT
    return dict(enumerate(weights.meta["categories"]))


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("cityscapes_vehicles", {"car": 1, "pole": 2, "sky": 0, "bicycle": 2}),
        ("coco_things", {"__background__": 0, "dog": 1, "N/A": 1}),
    ],
)
def test_shipped_class_maps_fit_their_networks(name: str, codes: dict[str, int]) -> None:
    names = shipped_names(name)
    found = read_class_map(str(LABELS / f"{name}.yaml")).codes(names, name)
    by_name = {of: int(found[number]) for number, of in names.items()}
    assert codes.items() <= by_name.items()
    assert 255 not in by_name.values()


def test_the_shipped_onnx_network_is_read() -> None:
    settings = read_onnx_settings(str(LABELS / "u2net.yaml"))
    assert settings.file == str(LABELS / "u2net.onnx")
    assert (settings.side, settings.stretch) == (320, True)


def written(folder: Path, text: str) -> str:
    path = folder / "classes.yaml"
    path.write_text(text)
    return str(path)


def test_classes_have_the_codes_of_their_roles() -> None:
    assert DRIVING.codes(NAMES, "net").tolist() == [0, 1, 0, 2]


def test_classes_of_one_name_share_its_role() -> None:
    names = {0: "N/A", 1: "a", 2: "n/a"}
    assert ClassMap(object=("N/A",)).codes(names, "net").tolist() == [1, 255, 1]


def test_a_file_is_read(tmp_path: Path) -> None:
    text = "object: [car, bus]\noccluder: [tree]\nrest: background\none_object: true\n"
    found = read_class_map(written(tmp_path, text))
    assert found == ClassMap(("car", "bus"), ("tree",), rest="background", one_object=True)
    assert found.text() == "object: car, bus; occluder: tree; rest: background; one object"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("objects: [car]", "'objects', which is none of object, occluder, background"),
        ("object: car", r"\.object is 'car', not a list"),
        ("object: [car]\nrest: sky", r"\.rest is 'sky', not one of object"),
        ("object: [car]\noccluder: [Car]", "the class car has several roles"),
        ("occluder: [car]", "no class is the object: name at least one under `object`"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        read_class_map(written(tmp_path, text))
    assert str(error.value).count("\n") == 0


def test_a_class_that_the_network_has_not_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"net has no class 'trees': did you mean tree\?"):
        ClassMap(object=("trees",)).codes(NAMES, "net")
    with pytest.raises(DataError, match="no class 'xyz': it has road, Car, tree"):
        ClassMap(object=("xyz",)).codes(NAMES, "net")


PARTS = Segments(np.array([[0, 0, 1], [2, -1, 1], [2, 2, 2]]), np.array([1, 3, 1]))


def test_parts_have_the_codes_of_their_classes() -> None:
    found = segment_codes(PARTS, DRIVING.codes(NAMES, "net"), one_object=False)
    assert found.tolist() == [[1, 1, 2], [1, 255, 2], [1, 1, 1]]
    assert found.dtype == np.uint8


def test_of_several_objects_the_largest_is_it() -> None:
    found = segment_codes(PARTS, DRIVING.codes(NAMES, "net"), one_object=True)
    assert found.tolist() == [[2, 2, 2], [1, 255, 2], [1, 1, 1]]


def test_an_image_without_parts_is_a_gap() -> None:
    nothing = Segments(np.full((1, 2), -1), np.zeros(0, np.int64), "background")
    assert segment_codes(nothing, DRIVING.codes(NAMES, "net"), one_object=True).tolist() == [[0, 0]]
