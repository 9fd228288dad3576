"""Users name scenes by photographs, or by classes and seeds."""

import pytest
import torch
from tiny_checkpoints import TinyFiles, autoregressive, save_prior, spread_model

from datamodules.errors import DataError
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.scene_choice import SceneChoice


def names_of(checkpoint: str, *given: tuple) -> list[str]:
    maker = open_maker(checkpoint)
    return [scene.name for scene in maker.wanted(SceneChoice(*given))]


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
    for seeds, sentence in (((), "empty: give at least one"), ((-1,), "-1, it must be from 0")):
        with pytest.raises(DataError, match=f"--seeds is {sentence}"):
            names_of(tiny_files.masked, (), ("mug",), seeds)


def test_both_kinds_of_checkpoint_reconstruct_the_same_photograph(tiny_files: TinyFiles) -> None:
    planes = []
    for path in (tiny_files.stage1, tiny_files.autoregressive):
        maker = open_maker(path)
        (scene,) = maker.wanted(SceneChoice((tiny_files.first,)))
        planes.append(scene.make().planes)
    assert torch.equal(*planes)
