import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback, Trainer
from tiny_model import SIDE
from tiny_prior_run import Kind, PriorRuns, last, stage1_model, write_stage1
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.schema import Attributes, TokenBatch
from lightning_modules.drawing import GAP, Pictures
from lightning_modules.noise import Purpose, step_noise
from lightning_modules.optimization import OptimizerSettings
from lightning_modules.stage2 import Stage2, check_kinds, conditions_of
from lightning_modules.stage2_pictures import SEEDS, sample_pictures, spread_labels
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.generator import TokenGenerator
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior

LAYOUT, SIZE = TokenLayout(4, 4), ViTSize(16, 1, 2)
PRIORS = [AutoregressivePrior, MaskedPrior]


def tiny_prior(build: Callable[..., TokenPrior], classes: int = 3) -> TokenPrior:
    torch.manual_seed(0)
    return build(8, LAYOUT, SIZE, ConditionKinds(classes, size=True), dropout=0.1)


def stage(prior: TokenPrior, stage1: str) -> Stage2:
    settings = OptimizerSettings(lr=1e-2, warmup=4, floor=1.0)
    return Stage2(
        prior, stage1, 10_000, ConditionDropout(0.0, 0.0), settings, ema_half_life=20.0, seed=5
    )


def token_batch(count: int = 4, seed: int = 0) -> TokenBatch:
    noise = torch.Generator().manual_seed(seed)
    tokens = torch.randint(8, (count, 16), generator=noise).square() // 8  # some more than others
    labels = torch.arange(count) % 3
    known = Attributes(torch.full((count, 3), torch.nan), torch.full((count,), -1))
    return TokenBatch(tuple(map(str, range(count))), tokens, labels, known)


class Logs(Callback):
    """Keeps what each step returned."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.steps.append({name: value.clone() for name, value in outputs.items()})


def trainer(*callbacks: Callback) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )


def train(module: Stage2, batch: TokenBatch, steps: int) -> list[dict[str, Tensor]]:
    logs = Logs()
    trainer(logs).fit(module, DataLoader([batch] * steps, batch_size=None))
    return logs.steps


@pytest.fixture(scope="module")
def stage1(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_stage1(tmp_path_factory.mktemp("stage1") / "best.ckpt")


@pytest.mark.parametrize("build", PRIORS)
def test_steps_move_the_prior_and_the_average_after_it(
    build: Callable[..., TokenPrior], stage1: str
) -> None:
    module, batch = stage(tiny_prior(build), stage1), token_batch()
    before = tiny_prior(build)
    logs = train(module, batch, 3)
    names = {"loss/total", "train/bits_per_token", "train/accuracy", "train/grad_norm"}
    assert [step.keys() for step in logs] == [names] * 3
    assert module.images_seen == 12
    for name in ("head.weight", "embed.weight", "transformer.blocks.0.attention.qkv.weight"):
        start, end, mean = (
            model.get_parameter(name) for model in (before, module.prior, module.ema)
        )
        assert 0 < (end - mean).norm() < 0.5 * (end - start).norm()
    assert not any(parameter.requires_grad for parameter in module.ema.parameters())


def test_what_is_logged_is_the_likelihood_of_the_batch(stage1: str) -> None:
    torch.manual_seed(0)
    prior = AutoregressivePrior(8, LAYOUT, SIZE, ConditionKinds(3), label_smoothing=0.1)
    batch = token_batch()
    result = prior.training_loss(batch.tokens, conditions_of(batch), torch.Generator())
    (logs,) = train(stage(prior, stage1), batch, 1)
    torch.testing.assert_close(logs["loss/total"], result.loss.detach())
    torch.testing.assert_close(logs["train/bits_per_token"], result.nll / math.log(2))
    torch.testing.assert_close(logs["train/accuracy"], result.accuracy)
    assert logs["train/grad_norm"] > 0


@pytest.mark.parametrize("build", PRIORS)
def test_it_learns_a_batch(build: Callable[..., TokenPrior], stage1: str) -> None:
    module, batch = stage(tiny_prior(build), stage1), token_batch()
    logs = train(module, batch, 150)
    begun, ended = (
        sum(float(step["train/bits_per_token"]) for step in steps) / 10
        for steps in (logs[:10], logs[-10:])
    )
    assert begun > 2
    assert ended < 0.6 * begun


@pytest.mark.parametrize("build", PRIORS)
def test_validation_figures_against_their_definitions(
    build: Callable[..., TokenPrior], stage1: str
) -> None:
    module = stage(tiny_prior(build), stage1)
    torch.nn.init.zeros_(module.prior.head.weight)  # not the average, which is measured
    batches = [token_batch(4), token_batch(2, seed=1)]
    loader = DataLoader(batches, batch_size=None)
    found = trainer()
    found.validate(module, loader, verbose=False)
    nll, right = [], []
    for index, batch in enumerate(batches):
        noise = step_noise(5, index, Purpose.VALIDATION)
        scores = module.ema.scores(batch.tokens, conditions_of(batch), noise)
        nll, right = nll + scores.nll.tolist(), right + scores.accuracy.tolist()
    counts = Counter(token for batch in batches for token in batch.tokens.flatten().tolist())
    shares = [count / 96 for count in counts.values()]
    expected = {
        "val/bits_per_token": sum(nll) / 6 / math.log(2),
        "val/accuracy": sum(right) / 6,
        "val/unigram_bits_per_token": -sum(share * math.log2(share) for share in shares),
    }
    figures = {name: value.item() for name, value in found.callback_metrics.items()}
    assert figures == pytest.approx(expected, rel=1e-5)
    found.validate(module, loader, verbose=False)  # the same masks again
    assert {name: value.item() for name, value in found.callback_metrics.items()} == figures


def test_every_label_of_a_batch_is_a_condition() -> None:
    batch = token_batch()
    known = Attributes(torch.ones(4, 3), torch.tensor([0, 1, 2, -1]), torch.ones(4, 5))
    found = conditions_of(replace(batch, attributes=known))
    assert torch.equal(found.label, batch.label)
    assert torch.equal(found.size, known.size)
    assert torch.equal(found.time_of_day, known.time_of_day)
    assert torch.equal(found.semantics, known.semantics)
    assert conditions_of(batch).semantics.shape == (4, 0)


def test_a_warmup_that_never_ends_is_refused(stage1: str) -> None:
    with pytest.raises(ValueError, match=r"warm up for 10000 images of 100: lower `optimizer\.w"):
        Stage2(tiny_prior(AutoregressivePrior), stage1, 100)


def test_conditions_that_the_data_have_not_are_refused() -> None:
    data = SimpleNamespace(manifest=SimpleNamespace(classes=list("abcd")), semantics=2)
    for classes, semantics in ((0, 0), (4, 0), (4, 2)):
        check_kinds(ConditionKinds(classes, semantics=semantics), data)
    for classes in (3, 5):
        with pytest.raises(DataError, match=rf"takes {classes} classes, the data have 4: set"):
            check_kinds(ConditionKinds(classes), data)
    with pytest.raises(DataError, match="vectors of width 7, the data give 2: change"):
        check_kinds(ConditionKinds(4, semantics=7), data)


def images_of(runs: PriorRuns) -> list[str]:
    """Options to train on images, encoded on the fly."""
    data = {"root": runs.images, "resolution": SIDE, "batch_size": 4, "val_batch_size": 3}
    settings = {
        "class_path": "datamodules.shard_datamodule.ShardDataModule",
        "init_args": data | {"lanes": 4, "num_workers": 0},
    }
    return ["--data", json.dumps(settings)]


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
    prior_runs: PriorRuns, tmp_path: Path
) -> None:
    with pytest.raises(FloatingPointError, match=r"gradient norm is nan after 8 images"):
        prior_runs.fit(
            "autoregressive", tmp_path, "--trainer.callbacks+", "run_probes.PoisonedPrior"
        )
    assert all(value.isfinite().all() for value in last(tmp_path)["state_dict"].values())


def pictures_of(prior: TokenPrior, rows: int) -> list[Pictures]:
    generator = TokenGenerator(prior.eval(), stage1_model())
    return sample_pictures(generator, ["disc", "square", "star"], TokenSampling(), rows)


@pytest.mark.parametrize("build", PRIORS)
@torch.no_grad()
def test_pictures_have_a_row_for_a_class_and_a_column_for_a_seed(
    build: Callable[..., TokenPrior],
) -> None:
    samples, views = pictures_of(tiny_prior(build), rows=2)
    tile = SIDE + GAP
    assert samples.name == "samples"
    (picture,) = samples.frames
    margin = picture.shape[2] - (SEEDS + 1) * tile  # names of the classes
    assert picture.shape[1] == 2 * tile
    assert margin > 0
    assert (picture[:, :, :margin] < 0.5).any(0).any()
    assert views.name == "novel_views"
    assert {frame.shape for frame in views.frames} == {(3, SIDE, 2 * SIDE)}
    assert not torch.equal(views.frames[0], views.frames[3])
    # The same seeds every time; the disparity in the last column is coloured.
    again = pictures_of(tiny_prior(build), rows=2)[0]
    assert torch.equal(again.frames[0], samples.frames[0])


@torch.no_grad()
def test_a_prior_without_classes_fills_the_rows_with_other_seeds() -> None:
    prior = tiny_prior(AutoregressivePrior, classes=0)
    samples, _ = pictures_of(prior, rows=2)
    tile = SIDE + GAP
    (picture,) = samples.frames
    first, second = picture[:, :tile, -tile:], picture[:, tile:, -tile:]
    assert not torch.equal(first, second)


def test_labels_of_a_sheet_are_spread_over_the_classes() -> None:
    assert spread_labels(12, 4) == [0, 3, 6, 9]
    assert spread_labels(3, 8) == [0, 1, 2]
    assert spread_labels(0, 3) == [-1, -1, -1]
