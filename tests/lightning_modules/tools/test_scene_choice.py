"""Users name scenes by photographs, or by classes and seeds."""

import pytest
import torch
from tiny_checkpoints import TinyFiles, autoregressive, save_prior, spread_model

from datamodules.errors import DataError
from lightning_modules.inference.classes import class_labels, class_name, file_name
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import SceneChoice, make_scene, wanted_scenes
from lightning_modules.inference.scene_makers import open_maker

NAMES = ("chair", "mug", "oak tree", "7")


def names_of(checkpoint: str, *given: tuple) -> list[str]:
    maker = open_maker(checkpoint, None, SamplingOptions(), "cpu")
    return [scene.name for scene in wanted_scenes(maker, SceneChoice(*given))]


def test_classes_are_found_by_name_and_number_and_each_once() -> None:
    assert class_labels(["mug", "0", "oak tree", "mug"], 4, NAMES) == [1, 0, 2]
    assert class_labels(["2", "all"], 4, NAMES) == [2, 0, 1, 3]
    assert class_labels(["7"], 9, NAMES) == [3]  # a name comes before a number
    assert class_labels(["8"], 9, NAMES) == [8]
    assert class_labels(["mug", "any", "any"], 4, NAMES) == [1, -1]
    assert class_labels(["any"], 2, ("one", "any")) == [1]
    assert class_labels(["any", "all"], 0, ()) == [-1]
    with pytest.raises(
        DataError, match=r"no class 'chiar': .* from 0 to 3\. Did you mean 'chair'\?"
    ):
        class_labels(["chiar"], 4, NAMES)
    with pytest.raises(DataError, match="--classes is empty: name at least one, or all"):
        class_labels([], 4, NAMES)
    with pytest.raises(DataError, match="no class '4': name one, or any, or give a number"):
        class_labels(["4"], 4, NAMES)


def test_files_of_different_classes_have_different_names() -> None:
    assert file_name(2, NAMES) == "oak-tree"
    assert file_name(5, NAMES) == class_name(5, NAMES) == "5"
    assert class_name(-1, NAMES) == "any"
    alike = ("a b", "a/b", "A b", "!")
    found = [file_name(label, alike) for label in range(4)]
    assert found == ["0-a-b", "1-a-b", "2-A-b", "3-"]


def test_scenes_are_named_after_photographs_or_classes_and_seeds(tiny_files: TinyFiles) -> None:
    photos = (tiny_files.first, tiny_files.second)
    assert names_of(tiny_files.stage1, photos) == ["first", "second"]
    assert names_of(tiny_files.masked, photos) == ["first", "second"]
    drawn = names_of(tiny_files.masked, (), ("oak tree", "0", "2"), (3, 1, 3))
    assert drawn == [f"{name}-seed{seed}" for name in ("oak-tree", "chair") for seed in (3, 1)]


def test_a_prior_without_classes_takes_seeds_alone(tiny_files: TinyFiles, tmp_path) -> None:
    model = spread_model()
    prior = autoregressive(model, classes=0)
    path = save_prior(prior, model, tiny_files.stage1, tmp_path / "any.ckpt")
    assert names_of(path, (), (), (2, 5)) == names_of(path, (), ("all",), (2, 5))
    assert names_of(path, (), (), (2, 5)) == ["seed2", "seed5"]
    with pytest.raises(
        DataError, match="no class 'mug': the model was trained without any, name none"
    ):
        names_of(path, (), ("mug",))


def test_what_a_checkpoint_cannot_make_is_told(tiny_files: TinyFiles) -> None:
    photos = (tiny_files.first,)
    with pytest.raises(DataError, match=r"is a stage-1 checkpoint: give photographs with --images"):
        names_of(tiny_files.stage1, (), ("mug",))
    with pytest.raises(DataError, match=r"is a stage-1 checkpoint: give photographs with --images"):
        names_of(tiny_files.stage1)
    with pytest.raises(
        DataError, match=r"is a prior: give --classes and --seeds, photographs with --images, or"
    ):
        names_of(tiny_files.masked)
    with pytest.raises(DataError, match="--images and --classes are given: name scenes in one"):
        names_of(tiny_files.masked, photos, ("mug",))
    for seeds in ((), (-1,)):
        with pytest.raises(DataError, match=r"--seeds is \[.*\]: give at least one"):
            names_of(tiny_files.masked, (), ("mug",), seeds)


def test_both_kinds_of_checkpoint_reconstruct_the_same_photograph(tiny_files: TinyFiles) -> None:
    planes = []
    for path in (tiny_files.stage1, tiny_files.autoregressive):
        maker = open_maker(path, None, SamplingOptions(), "cpu")
        (scene,) = wanted_scenes(maker, SceneChoice((tiny_files.first,)))
        planes.append(make_scene(maker, scene, "cpu").planes)
    assert torch.equal(*planes)
