"""What `wild3d evaluate` refuses, and when."""

from pathlib import Path
from typing import Any

import pytest
from evaluations import evaluated
from tiny_boxes import save_boxes
from tiny_checkpoints import TinyFiles, run
from tiny_classes import write_classes
from tiny_gan import save_gan, tiny_gan
from tiny_run import write_shards

from datamodules.errors import DataError
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.tools.evaluate import evaluate


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metrics": ()}, "--metrics is empty"),
        ({"samples": 1}, "--samples is 1, it must be from 2"),
        ({"kid_subset_size": 20}, "kid_subset_size is 20, .* 24 real images and 10 samples"),
        ({"kid_subset_size": 0}, "--kid_subset_size is 0, it must be from 2"),
        ({"kid_subsets": 0}, "kid_subsets is 0"),
        ({"is_splits": 11}, "is_splits is 11, .* at most the 10 samples"),
        ({"split": "test"}, "has no split 'test'"),
        ({"steps": 3}, "--steps is for masked ones only"),
        ({"batch_size": 0}, "--batch_size is 0, it must be from 1"),
        ({"features": "inception", "features_weights": "no.pth"}, "no.pth does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_drawn(
    options: dict[str, Any],
    sentence: str,
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
) -> None:
    given = measured | {"samples": 10} | options
    with pytest.raises(DataError, match=sentence):
        evaluated(tiny_files.autoregressive, tmp_path / "out.json", **given)


def test_data_of_other_classes_and_checkpoints_that_draw_nothing_are_refused(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    write_shards(tmp_path / "discs")
    other, out = measured | {"root": str(tmp_path / "discs")}, tmp_path / "out.json"
    with pytest.raises(DataError, match="draws 3 classes, the data have 1"):
        evaluated(tiny_files.autoregressive, out, **other)


def test_generators_of_classes_alone_are_not_compared_with_images_of_none(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    other = measured | {"root": write_classes(tmp_path / "shards", trees=False)}
    options = other | {"samples": 8, "metrics": ("nfs",)}
    gan, out = save_gan(tmp_path / "gan.ckpt"), tmp_path / "out.json"
    with pytest.raises(DataError, match=r"has images without a class, and \S+gan.ckpt draws"):
        evaluated(gan, out, **options)
    found = evaluated(tiny_files.autoregressive, out, **options)  # which draws scenes of any class
    assert found["protocol"]["classes"] == {"any": 2, "chair": 4, "mug": 2}


def test_floaters_of_scenes_without_end_are_refused(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    for metric in ("mask_fou", "mesh_fou"):
        with pytest.raises(DataError, match=rf"{metric} is of objects alone, the scenes of \S+ go"):
            evaluated(
                tiny_files.autoregressive,
                tmp_path / "out.json",
                **measured,
                samples=4,
                metrics=(metric,),
            )


@pytest.mark.parametrize("name", ["e.md", "e.png"])
def test_results_are_not_written_where_the_files_beside_them_go(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"would overwrite: name it \S+e.json"):
        evaluated("nowhere.ckpt", tmp_path / name, root="nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file, which is a file: name a folder"):
        evaluated("none.ckpt", tmp_path / "e", root="none", tensorboard=str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metrics": ("psnr",)}, "psnr is of photographs and their reconstructions"),
        ({"metrics": ("depth",)}, "whose depth no photograph tells: name a network"),
        ({"metrics": ("pose",)}, "shows scenes from one side alone"),
        ({"metrics": ("shapes",)}, "shapes is of objects alone, the scenes of .* go on"),
        ({"metrics": ("mask_fou",)}, "mask_fou is of objects alone, the scenes of .* go on"),
        ({"metrics": ("mesh_fou",)}, "mesh_fou is of objects alone, the scenes of .* go on"),
        ({"metrics": ("kid",), "shapes": "a"}, "--shapes is a, but --metrics has no shapes"),
        ({"metrics": ("kid",), "depth_network": "a"}, "--depth_network is a, but --metrics has no"),
        ({"metrics": ("kid",), "pose_objects": "a"}, "--pose_objects is a, but --metrics has no"),
        ({"views": "photographs"}, "--views photographs is of objects in boxes"),
    ],
)
def test_metrics_that_do_not_apply_to_a_generator_are_refused(
    options: dict[str, Any],
    sentence: str,
    tiny_files: TinyFiles,
    measured: dict[str, str],
    tmp_path: Path,
) -> None:
    given = measured | {"samples": 4} | options
    with pytest.raises(DataError, match=sentence):
        evaluated(tiny_files.autoregressive, tmp_path / "e.json", **given)


def test_conditions_are_those_of_each_photograph_or_of_none(
    measured: dict[str, str], tmp_path: Path
) -> None:
    options, out = measured | {"samples": 4, "metrics": ("conditions",)}, tmp_path / "e.json"
    with pytest.raises(DataError, match="not all alike: leave it out of --metrics, or --time_of"):
        evaluated(save_boxes(tmp_path).prior, out, **options, time_of_day="day")
    with pytest.raises(DataError, match=r"gan.ckpt takes neither class, size nor time of day"):
        evaluated(save_gan(tmp_path / "gan.ckpt", tiny_gan(0)), out, **options)
    of_classes = save_gan(tmp_path / "gan.ckpt")
    with pytest.raises(DataError, match="name their folder in --shapes"):
        evaluated(of_classes, out, **options | {"metrics": ("shapes",)})
    (label,) = evaluated(of_classes, out, **options)["figures"]
    assert label.startswith("class_called/")


def test_what_the_real_images_lack_is_told_before_anything_is_drawn(
    measured: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(GANScenes, "generate")
    gan = save_gan(tmp_path / "gan.ckpt")
    with pytest.raises(DataError, match="does not know from where its images were taken"):
        evaluated(gan, tmp_path / "e.json", **measured, samples=4, metrics=("pose",))
    assert not list(tmp_path.glob("e.*"))


def test_what_does_not_apply_to_reconstructions_is_refused(
    tiny_files: TinyFiles, measured: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "e.json"
    for options, sentence in (
        ({"metrics": ("depth",)}, "the images come without depth"),
        ({"metrics": ("silhouette",)}, "silhouette is of objects alone"),
        ({"samples": 4, "repeats": 3}, "need 12 photographs, there are 9: lower --samples"),
        ({"views": "own"}, "--views own is of scenes that are drawn"),
        ({"metrics": ("psnr",), "temperature": 0.5}, "--temperature is 0.5, but .* draws none"),
        ({"metrics": ("conditions",)}, "takes neither class, size nor time of day"),
        ({"metrics": ("pose",)}, "which look most like these themselves: leave pose out"),
        ({"metrics": ("fid",), "samples": 1}, "--samples is 1"),
    ):
        with pytest.raises(DataError, match=sentence):
            evaluated(tiny_files.stage1, out, **measured | options)
    both = [tiny_files.stage1, tiny_files.autoregressive]
    with pytest.raises(DataError, match="can't be compared, for one draws its scenes"):
        run(evaluate, both, out=str(out), samples=4, metrics=("nfs",), **measured)
