"""Verbs draw tokens as the prior's training did, but for what they are told; and are told no more
than they use."""

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles, autoregressive, run, save_prior, spread_model

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.tools.edit import edit
from lightning_modules.tools.mesh import mesh
from lightning_modules.tools.sample import MANY, SPREAD, sample
from lightning_modules.tools.video import video
from models.priors.sampling import TokenSampling

LEFT = (0.0, 0.0, 0.5, 1.0)
GREEDY = TokenSampling(temperature=0.0, top_k=5, top_p=0.9, guidance=1.5)
OTHERWISE = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "guidance": 1.0}


@pytest.fixture(scope="module")
def greedy(tiny_files: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prior whose training drew the most probable tokens: every seed makes the same scene."""
    model, path = spread_model(), tmp_path_factory.mktemp("greedy") / "prior.ckpt"
    return save_prior(autoregressive(model), model, tiny_files.stage1, path, GREEDY)


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def sampling_of(path: str, **options: Any) -> TokenSampling:
    maker = open_maker(path, options=SamplingOptions(**options))
    assert isinstance(maker, PriorScenes)
    return maker.sampling


def test_what_is_not_said_is_as_trained(greedy: str, tiny_files: TinyFiles) -> None:
    assert sampling_of(greedy) == GREEDY
    assert sampling_of(tiny_files.masked) == TokenSampling()
    assert SamplingOptions().changed(GREEDY) == GREEDY
    assert SamplingOptions(**OTHERWISE).changed(GREEDY) == TokenSampling()
    options = SamplingOptions(top_k=0, precision="bf16")
    assert options.given == {"top_k": 0, "precision": "bf16"}
    assert options.changed(GREEDY) == TokenSampling(0.0, 0, 0.9, 1.5)
    assert (options.dtype, SamplingOptions().dtype) == (torch.bfloat16, torch.float32)
    with pytest.raises(DataError, match=r"top_p is 2.0, it must be above 0 and at most 1"):
        SamplingOptions(top_p=2.0).changed(GREEDY)
    assert sampling_of(greedy, guidance=3.0) == TokenSampling(0.0, 5, 0.9, 3.0)


@pytest.mark.parametrize("told", [False, True])
def test_verbs_draw_as_trained_unless_told(
    told: bool, greedy: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    out, options = str(tmp_path), OTHERWISE if told else {}
    seeds = tuple(range(8))
    drawn = {"classes": ("mug",), "seeds": seeds, "out": out}
    run(sample, greedy, **drawn, views=1, size=2, **options)
    edited = {"image": tiny_files.first, "region": LEFT, "label": "mug"}
    run(edit, greedy, **edited, seeds=seeds, out=out, size=2, **options)
    for name in ("tokens", "first-resample"):
        assert (len(np.unique(read(tmp_path / f"{name}.npz")["tokens"], axis=0)) > 1) == told
    run(video, greedy, **drawn, formats=("gif",), frames=1, size=8, **options)
    films = [iio.imread(tmp_path / f"mug-seed{seed}-wiggle.gif") for seed in seeds]
    assert (len(np.unique(films, axis=0)) > 1) == told
    run(mesh, greedy, **drawn, format="obj", resolution=6, **options)
    meshes = [(tmp_path / f"mug-seed{seed}.obj").read_text().splitlines() for seed in seeds]
    vertices = {"\n".join(line for line in lines if line[:2] == "v ") for lines in meshes}
    assert (len(vertices) > 1) == told


@pytest.mark.parametrize("verb", [video, mesh])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": (0,)}, r"^--seeds is 0, but nothing is drawn with --{way}: leave it out"),
        ({"top_k": 0}, "^--top_k is 0, but nothing is drawn with --{way}: leave it out"),
        (
            {"precision": "float32", "guidance": 1.0},
            "^--guidance is 1.0 and --precision is float32, but nothing is .*: leave them out",
        ),
    ],
)
def test_scenes_that_are_not_drawn_take_neither_seeds_nor_sampling(
    verb: object, settings: dict, message: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    assert callable(verb)
    out = tmp_path / "out"
    for way, value in (("images", (tiny_files.first,)), ("tokens", "tokens.npz")):
        for checkpoint in (tiny_files.stage1, tiny_files.masked):
            with pytest.raises(DataError, match=message.replace("{way}", way)):
                run(verb, checkpoint, **{way: value}, out=str(out), **settings)
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_region": LEFT}, r"^--source_region is 0.0 0.0 .*, but resample takes no part of"),
        ({"action": "keep", "source_region": LEFT}, "but keep takes no part of another: leave it"),
        ({"action": "insert", "label": "mug"}, "^--label is mug, but insert draws nothing: leave"),
        (
            {"action": "insert", "seeds": (1, 2), "temperature": 0.5},
            r"^--seeds is 1 2 and --temperature is 0.5, but insert draws nothing: leave them",
        ),
    ],
)
def test_edits_take_only_what_they_use(
    settings: dict, message: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    out, inserts = tmp_path / "out", settings.get("action") == "insert"
    given = {"source": tiny_files.second if inserts else None, "out": str(out)} | settings
    with pytest.raises(DataError, match=message):
        run(edit, tiny_files.masked, image=tiny_files.first, region=LEFT, **given)
    assert not out.exists()


def test_guidance_needs_a_condition(tiny_files: TinyFiles, tmp_path: Path) -> None:
    path, out = tiny_files.masked, str(tmp_path)
    message = "^--guidance is 2.0, but there is no class or other condition it stresses: leave it"
    edited = {"image": tiny_files.first, "region": LEFT, "guidance": 2.0, "out": out, "size": 2}
    with pytest.raises(DataError, match=message):
        run(edit, path, **edited)
    for verb in (video, mesh, sample):
        with pytest.raises(DataError, match=message):
            run(verb, path, classes=("any",), guidance=2.0, out=out)
    assert not list(tmp_path.iterdir())
    run(edit, path, **edited, time_of_day="night")
    run(sample, path, classes=("any", "mug"), guidance=2.0, out=out, size=2, views=1)


def test_conditions_and_decoding_reach_every_verb(tiny_files: TinyFiles, tmp_path: Path) -> None:
    path, seeds = tiny_files.masked, tuple(range(8))
    edits, films = [], []
    for number, told in enumerate(({}, {"size_condition": (9.0, 0.1, 3.0)}, {"steps": 1})):
        out = tmp_path / str(number)
        drawn = {"seeds": seeds, "out": str(out)} | told
        run(edit, path, image=tiny_files.first, region=LEFT, **drawn, size=2)
        edits.append(read(out / "first-resample.npz")["tokens"])
        run(video, path, classes=("any",), **drawn, formats=("gif",), frames=1, size=8)
        films.append([iio.imread(out / f"seed{seed}-wiggle.gif") for seed in seeds])
    for made in (edits, films):
        assert not np.array_equal(made[0], made[1])
        assert not np.array_equal(made[0], made[2])


def test_any_leaves_the_class_unknown(tiny_files: TinyFiles, tmp_path: Path) -> None:
    path, seeds = tiny_files.autoregressive, tuple(range(8))
    sample(path, ("any", "chair"), seeds, str(tmp_path / "drawn"), views=1, size=2)
    drawn = read(tmp_path / "drawn" / "tokens.npz")
    assert drawn["labels"].tolist() == [-1] * 8 + [0] * 8
    assert drawn["names"][[7, 8]].tolist() == ["seed7", "chair-seed0"]
    assert not np.array_equal(drawn["tokens"][:8], drawn["tokens"][8:])
    edits = []
    for label in (None, "any", "chair"):
        out = tmp_path / f"{label}"
        edit(path, tiny_files.first, LEFT, label=label, seeds=seeds, out=str(out), size=2)
        edits.append(read(out / "first-resample.npz"))
    assert edits[1]["labels"].tolist() == [-1] * 8
    np.testing.assert_array_equal(edits[0]["tokens"], edits[1]["tokens"])
    assert not np.array_equal(edits[1]["tokens"], edits[2]["tokens"])


def test_options_reach_the_verbs_from_the_command_line(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    command = ["mesh", "--checkpoint", tiny_files.masked, "--classes", "any", "mug"]
    command += ["--top_k", "2", "--temperature", "0.5", "--resolution", "6", "--out", str(tmp_path)]
    assert main(command) == 0  # seed 0 without --seeds
    assert main([*command, "--seeds", "3,4", "--precision", "bf16"]) == 0
    names = {f"{name}seed{seed}.glb" for name in ("", "mug-") for seed in (0, 3, 4)}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(("classes", "spread"), [(MANY, False), (MANY + 1, True)])
def test_of_many_classes_a_spread_is_drawn_unless_all_are_asked_for(
    classes: int,
    spread: bool,
    tiny_files: TinyFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = spread_model()
    prior = autoregressive(model, classes)
    path = save_prior(prior, model, tiny_files.stage1, tmp_path / "many.ckpt")
    told = f"{SPREAD} of {classes} classes, spread over them; --classes all draws each.\n"
    shown = {"seeds": (0,), "out": str(tmp_path), "views": 1, "size": 2}
    sample(path, **shown)
    labels = read(tmp_path / "tokens.npz")["labels"].tolist()
    expected = [classes * row // SPREAD for row in range(SPREAD)]
    assert labels == (expected if spread else list(range(classes)))
    assert (told in capsys.readouterr().out) == spread
    sample(path, ("all",), **shown)
    assert read(tmp_path / "tokens.npz")["labels"].tolist() == list(range(classes))
    assert told not in capsys.readouterr().out
