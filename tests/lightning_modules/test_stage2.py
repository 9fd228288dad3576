import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from quick_training import quiet_trainer, train
from tiny_prior_run import (
    LAYOUT,
    SIZE,
    tiny_prior,
    write_stage1,
)
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.schema import Attributes, TokenBatch
from lightning_modules.stage2 import Stage2, conditions_of, known_shares
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose, step_rng
from lightning_modules.training.stage2_checks import check_guidance, check_kinds
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior

PRIORS = [AutoregressivePrior, MaskedPrior]


def stage(prior: TokenPrior, stage1: str) -> Stage2:
    settings = OptimizerSettings(lr=1e-2, warmup=4, floor=1.0)
    return Stage2(
        prior, stage1, 10_000, ConditionDropout(0.0, 0.0), settings, ema_half_life=20.0, seed=5
    )


def token_batch(count: int = 4, seed: int = 0) -> TokenBatch:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(8, (count, 16), generator=rng).square() // 8  # some more than others
    labels = torch.arange(count) % 3
    known = Attributes(torch.full((count, 3), torch.nan), torch.full((count,), -1))
    return TokenBatch(tuple(map(str, range(count))), tokens, labels, known)


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
    names |= {"known/class", "known/size"}
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
    found = quiet_trainer()
    found.validate(module, loader, verbose=False)
    nll, right = [], []
    for index, batch in enumerate(batches):
        rng = step_rng(5, index, Purpose.VALIDATION)
        scores = module.ema.scores(batch.tokens, conditions_of(batch), rng)
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


def test_the_share_of_known_conditions_is_logged() -> None:
    known = Attributes(
        torch.tensor([[1.0] * 3, [torch.nan] * 3, [2.0] * 3, [1.0, torch.nan, 1.0]]),
        torch.tensor([0, -1, -1, -1]),
        torch.tensor([[1.0, 2.0]] * 3 + [[1.0, torch.nan]]),
    )
    batch = replace(token_batch(), label=torch.tensor([0, 1, -1, 2]), attributes=known)
    shares = known_shares(conditions_of(batch), ConditionKinds(3, True, True, 2))
    expected = {"class": 0.75, "size": 0.5, "time_of_day": 0.25, "semantics": 0.75}
    assert {name: value.item() for name, value in shares.items()} == {
        f"known/{name}": share for name, share in expected.items()
    }
    assert known_shares(conditions_of(token_batch()), ConditionKinds()) == {}


def test_guidance_needs_samples_without_conditions() -> None:
    check_guidance(TokenSampling(guidance=2.0), ConditionDropout(0.1, 0.0))
    check_guidance(TokenSampling(), ConditionDropout(0.0, 0.0))
    with pytest.raises(ValueError, match=r"sampling.guidance is 2.0 and dropout.everything 0: "):
        check_guidance(TokenSampling(guidance=2.0), ConditionDropout(0.0, 0.5))


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
