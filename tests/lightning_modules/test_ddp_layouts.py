"""How many processes share a batch changes neither the images nor what is learned from them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_processes import Runs, probe

from datamodules.order import LaneOrder

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Launch:
    """What the probes wrote in one launch of a run by a number of processes."""

    folder: Path
    ranks: int

    def state(self, rank: int) -> dict[str, Any]:
        """Final weights and the count of revived codes of a rank."""
        return torch.load(self.folder / f"rank-{rank}.pt", weights_only=True)

    def batches(self) -> list[list[str]]:
        """The keys of each global batch in alphabetical order."""
        texts = [(self.folder / f"keys-{rank}.json").read_text() for rank in range(self.ranks)]
        shares = zip(*map(json.loads, texts), strict=True)
        return [sorted(key for share in batch for key in share) for batch in shares]


@dataclass(frozen=True)
class Probed:
    """Starts launches of runs with probes, in this process or in two."""

    runs: Runs

    def fit(self, run: Path, options: Sequence[str], ranks: int = 1) -> Launch:
        launch = Launch(run / f"launch-{len(list(run.glob('launch-*')))}", ranks)
        names, settings = ("KeyLog", "RankState"), {"folder": launch.folder}
        probes = [option for name in names for option in probe(name, settings)]
        if ranks == 1:
            assert self.runs.fit(run, *probes, *options) == 0
        else:
            self.runs.fit_in_two(run, *probes, *options)
        return launch


@pytest.fixture(scope="module")
def runs(stage1_runs: Runs) -> Probed:
    return Probed(stage1_runs)


@pytest.fixture(scope="module")
def grown(runs: Probed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launch, Launch]:
    """A run of one process with batches of 3, continued after 9 images by two with 4 each.

    A code counts as dead, and is revived, below nine tenths of its uniform share.
    """
    run = tmp_path_factory.mktemp("grown")
    dying = ["--model.autoencoder.init_args.codebook.dead_share", "0.9"]
    alone = runs.fit(run, [*dying, "--data.batch_size", "3", "--model.max_images", "9"])
    return alone, runs.fit(run, [*dying, "--model.max_images", "41"], ranks=2)


def batches_in_order(end: int, size: int, start: int = 0) -> list[list[str]]:
    """Batches of the images from `start` to `end`, from the global order of the shards alone."""
    places = LaneOrder((12, 12), seed=0, lanes=4).locate(np.arange(end))
    keys = [f"train{100 * place.shard + place.row:04d}" for place in places]
    return [sorted(keys[at : at + size]) for at in range(start, end, size)]


def test_a_larger_batch_goes_on_at_the_next_image(runs: Probed, tmp_path: Path) -> None:
    small = runs.fit(tmp_path, ["--data.batch_size", "2", "--model.max_images", "10"])
    large = runs.fit(tmp_path, ["--data.batch_size", "4", "--model.max_images", "30"])
    assert small.batches() == batches_in_order(10, 2)
    assert large.batches() == batches_in_order(30, 4, start=10)  # 24 images are an epoch


def test_more_processes_go_on_at_the_next_image(grown: tuple[Launch, Launch]) -> None:
    alone, together = grown
    assert alone.batches() == batches_in_order(9, 3)
    assert together.batches() == batches_in_order(41, 8, start=9)


def test_processes_end_with_the_same_weights_average_and_codebook_to_the_bit(
    grown: tuple[Launch, Launch],
) -> None:
    first, second = (grown[1].state(rank) for rank in (0, 1))
    assert first["revived"] == second["revived"] > 0
    names = first["weights"].keys()
    parts = ("autoencoder.", "ema.", "autoencoder.quantizer.codebook", "ema.quantizer.codebook")
    parts += ("autoencoder.quantizer.usage", "adversaries.main.", "adversaries.novel.")
    assert all(any(name.startswith(part) for name in names) for part in parts)
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name


def test_two_processes_learn_what_one_with_their_batches_together_does(
    runs: Probed, tmp_path: Path
) -> None:
    options = ["--model.class_path", "run_probes.DealtStage1", "--model.max_images", "32"]
    options += ["--model.rays.patch_images", "8", "--model.rays.novel_images", "8"]
    options += ["--model.optimizer.lr", "1", "--model.discriminator_optimizer.lr", "0.1"]
    options += [
        "--model.autoencoder.init_args.codebook.dead_share",
        "0",
    ]  # revival draws from rank 0
    one = runs.fit(tmp_path / "one", [*options, "--data.batch_size", "8"])
    two = runs.fit(tmp_path / "two", [*options, "--data.batch_size", "4"], ranks=2)
    assert one.batches() == two.batches()
    # Every part has moved by 1e-3 or more; float32 rounding makes weights differ by 1e-7.
    torch.testing.assert_close(
        one.state(0)["weights"], two.state(0)["weights"], rtol=1e-5, atol=1e-6
    )
