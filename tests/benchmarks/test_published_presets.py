"""Presets of published sizes: which there are, and the commands that train them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.published_data import Networks
from benchmarks.published_presets import (
    PRESETS,
    Preset,
    fit_words,
    settings_of,
    token_words,
    turned_on,
)
from lightning_modules.cli.arguments import gather_lists
from lightning_modules.cli.main import main
from lightning_modules.cli.verbs import VERBS, verb_parser

ROOT = Path(__file__).parents[2]
WORK = Path("work")
NETWORKS = Networks(WORK / "vgg16.pth", WORK / "kid.pth")


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_configuration_that_was_never_trained_is_a_preset() -> None:
    never = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "configs").rglob("*.yaml")
        if any(name in path.stem for name in ("imagenet", "waymo", "shapenet"))
    }
    assert {preset.configs[0] for preset in PRESETS} == never


def test_what_waits_is_turned_on() -> None:
    settings = {
        "weights": {
            "adversarial": [[2_000, 0.0], [4_000, 0.1]],
            "depth": [[0, 1.0], [10_000, 0.3]],
            "alpha": 0.0,
        },
        "optimizer": {"warmup": 1_000, "betas": [0.0, 0.99]},
        "discriminator_optimizer": {"warmup": 0},
        "discriminator": {"train_from": 500},
        "multi_view": {"on_collapse": True, "from_images": None},
        "generator": {"class_path": "models.x", "init_args": {"knots": [[0, 0], [1, 2]]}},
    }
    assert turned_on(settings) == [
        *("--model.weights.adversarial", "0.1"),
        *("--model.optimizer.warmup", "0"),
        *("--model.discriminator.train_from", "0"),
        *("--model.multi_view.from_images", "0"),
        *("--model.generator.knots", "2"),
    ]
    counted = {"multi_view": {"on_collapse": False, "from_images": 5_000}}
    assert turned_on(counted) == ["--model.multi_view.from_images", "0"]
    for never_or_always in ((False, None), (True, 0)):
        views = dict(zip(("on_collapse", "from_images"), never_or_always, strict=True))
        assert turned_on({"multi_view": views}) == []


def resolved(preset: Preset, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The settings of the command that trains a preset."""
    with pytest.raises(SystemExit) as stop:
        main([*fit_words(preset, WORK, NETWORKS), "--print_config"])
    assert stop.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_the_command_has_the_size_of_the_preset_and_everything_on(
    preset: Preset, capsys: pytest.CaptureFixture[str]
) -> None:
    found, shipped = resolved(preset, capsys), settings_of(preset.configs)
    (network,) = {"autoencoder", "prior", "generator"} & shipped["model"]["init_args"].keys()
    model, as_shipped = (s["model"]["init_args"] for s in (found, shipped))
    assert model[network] == as_shipped[network]
    assert model["max_images"] == preset.length > preset.interrupted_at >= 3 * preset.batch
    assert turned_on(model) == []
    assert found["data"]["init_args"]["batch_size"] == preset.batch
    (log,) = found["trainer"]["callbacks"]
    assert log["init_args"]["interrupt_at"] == preset.interrupted_at
    sides = {s["data"]["init_args"].get("resolution") for s in (found, shipped)}
    assert sides == {None if preset.stage1 else preset.images.resolution}
    arguments = model[network]["init_args"]
    classes = arguments.get("kinds", arguments).get("classes")
    assert classes == (None if network == "autoencoder" else preset.images.classes)


def test_networks_stand_in_for_those_of_the_preset(capsys: pytest.CaptureFixture[str]) -> None:
    by_name = {preset.name: preset for preset in PRESETS}
    gan = resolved(by_name["wildgan-shapenet55"], capsys)["model"]["init_args"]
    assert gan["score"]["features"] == "torchvision:squeezenet1_1"
    assert gan["multi_view"]["from_images"] == 0
    eg3d = resolved(by_name["eg3d-imagenet100"], capsys)["model"]["init_args"]
    assert eg3d["multi_view"]["from_images"] is None
    assert not eg3d["generator"]["init_args"]["extra_blocks"]
    stage1 = resolved(by_name["gina3d-stage1"], capsys)["model"]["init_args"]
    assert stage1["perceptual_weights"] == "work/vgg16.pth"
    assert stage1["weights"]["opacity_entropy"] == 0.01


@pytest.mark.parametrize("name", ["vq3d-stage2", "gina3d-stage2"])
def test_tokens_are_made_with_the_stage_1_of_a_stage_2(name: str) -> None:
    (preset,) = (preset for preset in PRESETS if preset.name == name)
    (stage1,) = (other for other in PRESETS if other.name == preset.stage1)
    assert stage1.images == preset.images
    verb, *words = token_words(preset, WORK)
    function = VERBS[verb].load()
    parsed = verb_parser(verb, function).parse_args(gather_lists(function, words))
    assert parsed.checkpoint == f"work/{stage1.name}/checkpoints/best.ckpt"
    assert parsed.root == f"work/{stage1.images.name}"
