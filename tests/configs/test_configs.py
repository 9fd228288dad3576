import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningModule

from lightning_modules.cli.main import main
from lightning_modules.training.base import TrainingModule
from models.recipe import build_model

ROOT = Path(__file__).parents[2]
LADDER = sorted((ROOT / "configs" / "wildgan" / "ladder").glob("*.yaml"))
BASES = sorted((ROOT / "configs").rglob("base_*.yaml"))
LABELS = set((ROOT / "configs" / "labels").glob("*.yaml")) - {
    ROOT / "configs" / "labels" / "depth_small.yaml"
}
"""Class maps and networks of `wild3d label`, see tests/lightning_modules/labelling."""
CONFIGS = sorted(set((ROOT / "configs").rglob("*.yaml")) - {*LADDER, *BASES, *LABELS})


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def settings_of(path: Path) -> dict[str, Any]:
    """What a configuration and its bases say."""
    own = yaml.safe_load(path.read_text())
    base = own.pop("base", None)
    return own if base is None else merged(settings_of(path.parent / base), own)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings laid over others."""
    found = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(name), dict)
        found[name] = merged(found[name], value) if both else value
    return found


def constructor_defaults(class_path: str) -> dict[str, Any]:
    module, _, name = class_path.rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def repeated_defaults(given: dict[str, Any], defaults: dict[str, Any], at: str = "") -> list[str]:
    """Dotted keys of `given` whose value is the default anyway."""
    found = []
    for name, value in given.items():
        if isinstance(value, dict) and "class_path" in value:
            inner = constructor_defaults(value["class_path"])
            found += repeated_defaults(value.get("init_args", {}), inner, f"{at}{name}.")
        elif isinstance(value, dict) and defaults[name] is not None:
            found += repeated_defaults(value, vars(defaults[name]), f"{at}{name}.")
        elif (tuple(value) if isinstance(value, list) else value) == defaults[name]:
            found.append(at + name)
    return found


def make_command(path: Path) -> str:
    """How a configuration is used."""
    by_folder = {"classifier": "make classifier", "wildgan": "make train-gan"}
    return by_folder.get(path.parent.name, f"make train-{path.stem.partition('_')[0]}")


def trained(settings: dict[str, Any]) -> dict[str, Any]:
    """What a configuration's module trains."""
    arguments = settings["model"]["init_args"]
    kinds = ("autoencoder", "prior", "generator", "classifier", "network")
    (kind,) = (kind for kind in kinds if kind in arguments)
    return arguments[kind]


def test_the_shipped_configurations_are_found() -> None:
    systems = ("stage1_eth80", "stage1_imagenet", "stage1_rgbd_room", "stage1_shapeworld")
    systems += ("stage2_imagenet", "stage2_shapeworld")
    known = {f"configs/vq3d/{name}.yaml" for name in systems}
    classifiers = ("blurred_objects", "eth80", "lowpoly", "objects", "shapeworld")
    known |= {f"configs/classifier/{name}.yaml" for name in classifiers}
    gans = ("eth80", "imagenet100", "lowpoly", "scenes", "shapenet55", "shapeworld")
    known |= {f"configs/wildgan/{name}.yaml" for name in gans}
    assert known <= {relative(path) for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_the_command_line_accepts_every_key(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", str(path), "--print_config"])
    assert stop.value.code == 0
    assert "max_images" in capsys.readouterr().out


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_its_module_is_built_on_the_meta_device(path: Path) -> None:
    settings = settings_of(path)["model"]
    if "weights" in settings["init_args"]:
        settings["init_args"]["weights"]["perceptual"] = 0.0  # its weights can't be downloaded here
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    with torch.device("meta"):
        module = parser.instantiate(parser.parse_object({"model": settings})).model
    assert isinstance(module, TrainingModule)
    assert all(parameter.is_meta for parameter in module.parameters())


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_its_header_tells_command_and_parameter_count(path: Path) -> None:
    text = path.read_text()
    header = "".join(line for line in text.splitlines(True) if line.startswith("#"))
    assert make_command(path) in header
    with torch.device("meta"):
        model = build_model(trained(settings_of(path)))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f"{count / 1e6:.1f} M parameters" in header


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_it_repeats_no_default(path: Path) -> None:
    settings = settings_of(path)
    given = {part: settings[part] for part in ("model", "data")}
    back = set_back(path)
    repeated = [name for name in repeated_defaults(given, {}) if name not in back]
    assert not repeated, f"state only what differs from the defaults: drop {', '.join(repeated)}"


def set_back(path: Path) -> set[str]:
    """Settings, by dotted key as on the command line, that differ from what a base says of them."""
    own = yaml.safe_load(path.read_text())
    base = leaves(settings_of(path.parent / own["base"])) if "base" in own else {}
    changed = {key for key, value in leaves(own).items() if key in base and base[key] != value}
    return {key.replace(".init_args", "").removeprefix(".") for key in changed}


def leaves(settings: Any, at: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    if not isinstance(settings, dict):
        return {at: settings}
    return {
        k: v for name, value in settings.items() for k, v in leaves(value, f"{at}.{name}").items()
    }


def printed(capsys: pytest.CaptureFixture[str], *paths: Path) -> dict[str, Any]:
    """The resolved settings of configurations laid over each other."""
    with pytest.raises(SystemExit) as stop:
        main(
            ["fit", *(word for path in paths for word in ("--config", str(path))), "--print_config"]
        )
    assert stop.value.code == 0
    return leaves(yaml.safe_load(capsys.readouterr().out))


@pytest.mark.parametrize("path", LADDER, ids=relative)
def test_a_step_of_the_ladder_changes_what_it_names_and_nothing_else(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert path.read_text().startswith("# ")
    base = ROOT / "configs" / "wildgan" / "lowpoly.yaml"
    alone, both = printed(capsys, base), printed(capsys, base, path)
    step = leaves(yaml.safe_load(path.read_text()))
    assert {key: both[key] for key in step} == step
    parents = {key.rpartition(".")[0] for key in step}
    changed = {key for key in alone.keys() | both.keys() if alone.get(key) != both.get(key)}
    assert all(
        key in step or key.rpartition(".")[0] in parents or key in parents for key in changed
    )


@pytest.mark.parametrize("base", BASES, ids=relative)
def test_a_base_is_shared_and_repeats_no_default(base: Path) -> None:
    users = [
        path
        for path in CONFIGS
        if (own := yaml.safe_load(path.read_text()).get("base")) and path.parent / own == base
    ]
    assert len(users) >= 2
    settings = yaml.safe_load(base.read_text())
    assert not repeated_defaults({part: settings[part] for part in ("model", "data")}, {})


@pytest.mark.parametrize("path", [path for path in CONFIGS if "\nbase:" in path.read_text()])
def test_it_says_nothing_that_its_base_says(path: Path) -> None:
    own = yaml.safe_load(path.read_text())
    below = leaves(settings_of(path.parent / own.pop("base")))
    said_again = [key for key, value in leaves(own).items() if below.get(key, key) == value]
    assert not said_again, f"drop {', '.join(said_again)}"


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_it_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
