import shutil
from pathlib import Path

import pytest
from run_processes import SHORT, Runs
from tiny_checkpoints import (
    TinyFiles,
    autoregressive,
    masked,
    save_photo,
    save_prior,
    save_stage1,
    spread_model,
)
from tiny_prior_run import PriorRuns
from tiny_run import write_config, write_shards


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 24 training and 6 validation images with depth; do not alter."""
    folder = tmp_path_factory.mktemp("tiny") / "shards"
    write_shards(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage-1 configuration with every loss but the perceptual one."""
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def stage1_runs(tiny_config: Path, tiny_root: Path) -> Runs:
    """Runs of this configuration on these shards."""
    return Runs(tiny_config, tiny_root)


@pytest.fixture(scope="session")
def prior_runs(tmp_path_factory: pytest.TempPathFactory, tiny_root: Path) -> PriorRuns:
    """A stage-1 checkpoint, tokens of the tiny shards, configurations of both priors."""
    return PriorRuns.write(tmp_path_factory.mktemp("prior"), tiny_root)


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> TinyFiles:
    """Checkpoints of both stages and two photographs; do not alter."""
    folder, model = tmp_path_factory.mktemp("tools"), spread_model()
    stage1 = save_stage1(model, folder / "stage1.ckpt")
    return TinyFiles(
        stage1,
        save_prior(autoregressive(model), model, stage1, folder / "autoregressive.ckpt"),
        save_prior(masked(model), model, stage1, folder / "masked.ckpt"),
        save_photo(folder / "first.png", 0),
        save_photo(folder / "second.png", 1),
    )


@pytest.fixture(scope="module")
def begun(stage1_runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 24 images: last of 24, previous of 20, best of 16."""
    run = tmp_path_factory.mktemp("begun") / "run"
    assert stage1_runs.fit(run, *SHORT) == 0
    return run


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    """A copy of the run of 24 images."""
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"
