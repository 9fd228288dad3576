"""Two processes train a GAN as one does."""

from pathlib import Path

import pytest
import torch
from run_processes import last, probe
from tiny_gan_run import GANRuns

DEALT = ["--model.class_path", "run_probes.DealtGAN", "--model.shown.augment.changes", "[]"]


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_end_alike(tiny_root: Path, tmp_path: Path) -> None:
    runs = GANRuns.write(tmp_path, tiny_root)
    later = ["--model.multi_view.views", "3", "--model.multi_view.from_images", "8"]
    short = [
        "--model.max_images",
        "24",
        *later,
        "--model.generator.view_cells",
        "{yaws: 3, heights: 2}",
    ]
    weights = probe("RankWeights", {"folder": tmp_path / "ranks"})
    assert runs.fit(tmp_path / "one", *DEALT, *short, "--data.batch_size", "8") == 0
    runs.fit_in_two(tmp_path / "two", *DEALT, *short, *weights)

    ranks = [
        torch.load(tmp_path / "ranks" / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)
    ]
    assert all(torch.equal(value, ranks[1][name]) for name, value in ranks[0].items())
    one, two = last(tmp_path / "one")["state_dict"], last(tmp_path / "two")["state_dict"]
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    start = last(tmp_path / "one")["images_seen"]
    assert start == last(tmp_path / "two")["images_seen"] == 24
