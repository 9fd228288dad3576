"""What a prior is trained on and goes on with, and what it refuses."""

import json
import re
from pathlib import Path

import pytest
import torch
from run_processes import last
from tiny_prior_run import (
    Kind,
    PriorRuns,
    images_of,
    write_stage1,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
def test_images_and_their_stored_tokens_train_the_same_prior(
    kind: Kind, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    assert prior_runs.fit(kind, tmp_path / "tokens") == 0
    assert prior_runs.fit(kind, tmp_path / "images", *images_of(prior_runs)) == 0
    stored, encoded = last(tmp_path / "tokens"), last(tmp_path / "images")
    assert "ShardDataModule" in encoded
    assert stored["state_dict"].keys() == encoded["state_dict"].keys()
    for name, value in stored["state_dict"].items():
        assert torch.equal(value, encoded["state_dict"][name]), name
    figures = [
        json.loads((tmp_path / run / "result.json").read_text()) for run in ("tokens", "images")
    ]
    assert figures[0]["bits_per_token"] == figures[1]["bits_per_token"]
    assert figures[0]["unigram_bits_per_token"] == figures[1]["unigram_bits_per_token"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--model.prior.codes=16", r"The prior has 16 codes, the stage-1 model in .* 8: change `p"),
        (
            "--model.prior.layout.rows=5",
            r"tokens lie on 5 x 4, those of the stage-1 model in .* on 4 x 4: change `prior",
        ),
        (
            "--model.prior.layout.planes=3",
            r"tokens lie on 3 planes of 4 x 4, those of the stage-1 model in .* on 4 x 4: change",
        ),
        ("--model.stage1=nowhere.ckpt", "There is no checkpoint nowhere.ckpt: name a file"),
        ("--model.optimizer.warmup=60", "warm up for 60 images of 48: lower `optimizer.warmup`"),
        ("--model.sampling.top_p=2", "top_p is 2.0, it must be above 0 and at most 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    option: str,
    sentence: str,
    prior_runs: PriorRuns,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prior_runs.fit("autoregressive", tmp_path, option) == 2
    told = capsys.readouterr().err
    assert re.search(sentence, told), told
    assert not (tmp_path / "checkpoints").exists()


def test_tokens_of_other_weights_are_refused(
    prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_stage1(tmp_path / "other.ckpt", seed=1)
    run = tmp_path / "run"
    assert prior_runs.fit("autoregressive", run, "--model.stage1", other) == 2
    told = capsys.readouterr().err
    assert "The tokens were written with stage-1 weights" in told
    assert "write them again with `wild3d tokens`" in told
    assert not (run / "checkpoints").exists()


def test_a_run_does_not_go_on_with_other_weights(
    prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, run = write_stage1(tmp_path / "other.ckpt", seed=1), tmp_path / "run"
    images = images_of(prior_runs)  # encoded on the fly: no stored tokens tell
    assert prior_runs.fit("masked", run, *images, "--trainer.max_steps", "2") == 0
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    assert prior_runs.fit("masked", run, *images, "--model.stage1", other) == 2
    assert "The prior was trained on tokens of" in capsys.readouterr().err
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before
    assert other not in (run / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("masked", [], "The run holds a AutoregressivePrior, this configuration trains a Masked"),
        (
            "autoregressive",
            ["--model.prior.size.depth", "1"],
            r"model has prior\.transformer\.blocks\.1\..* this configuration's none: give the run",
        ),
        (
            "autoregressive",
            ["--model.prior.size.depth", "3"],
            r"model has prior\.transformer\.blocks\.2\..* of shape none, this .*: give the run",
        ),
        (
            "autoregressive",
            ["--model.prior.kinds.classes", "0"],
            r"label\.weight of shape \[2, 16\], this configuration's \[1, 16\]: give the run",
        ),
    ],
)
def test_a_run_does_not_go_on_with_another_model(
    kind: Kind,
    options: list[str],
    sentence: str,
    prior_runs: PriorRuns,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prior_runs.fit("autoregressive", tmp_path, "--trainer.max_steps", "2") == 0
    config = (tmp_path / "config.yaml").read_bytes()
    assert prior_runs.fit(kind, tmp_path, *options) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert (tmp_path / "config.yaml").read_bytes() == config


def test_a_run_on_tokens_goes_on_with_images_at_the_next_image(
    prior_runs: PriorRuns, tmp_path: Path
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert prior_runs.fit("autoregressive", run, "--trainer.max_steps", "5") == 0
    assert prior_runs.fit("autoregressive", run, *images_of(prior_runs)) == 0
    assert prior_runs.fit("autoregressive", whole) == 0
    ours, theirs = last(run)["state_dict"], last(whole)["state_dict"]
    assert all(torch.equal(value, ours[name]) for name, value in theirs.items())


def test_a_run_does_not_go_on_in_another_order(
    prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prior_runs.fit("autoregressive", tmp_path, "--trainer.max_steps", "2") == 0
    images = [*images_of(prior_runs), "--data.seed", "7"]
    assert prior_runs.fit("autoregressive", tmp_path, *images) == 2
    assert "its position has no meaning in another order" in capsys.readouterr().err


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(
    prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poison = ["--trainer.callbacks+", "run_probes.PoisonedPrior"]
    assert prior_runs.fit("autoregressive", tmp_path, *poison) == 2
    said = capsys.readouterr().err
    assert "gradient norm of the total loss is nan in the step after 8 images" in said
    assert all(value.isfinite().all() for value in last(tmp_path)["state_dict"].values())
