from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningModule

from lightning_modules.cli import main
from lightning_modules.stage1 import Stage1
from models.recipe import build_model

CONFIGS = sorted(Path("configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_the_command_line_accepts_every_key(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", str(path), "--print_config"])
    assert stop.value.code == 0
    assert "max_images" in capsys.readouterr().out


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_its_module_is_built_on_the_meta_device(path: Path) -> None:
    settings = yaml.safe_load(path.read_text())["model"]
    settings["init_args"]["weights"]["perceptual"] = 0.0  # its weights can't be downloaded here
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    with torch.device("meta"):
        module = parser.instantiate(parser.parse_object({"model": settings})).model
    assert isinstance(module, Stage1)
    assert all(parameter.is_meta for parameter in module.parameters())


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_its_header_tells_command_and_parameter_count(path: Path) -> None:
    text = path.read_text()
    header = "".join(line for line in text.splitlines(True) if line.startswith("#"))
    assert "make train-stage1" in header
    with torch.device("meta"):
        model = build_model(yaml.safe_load(text)["model"]["init_args"]["model"])
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f"{count / 1e6:.1f} M parameters" in header


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_it_states_deltas_only(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
