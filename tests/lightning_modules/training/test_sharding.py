"""Divided weights in a group of one process; `test_prior_ddp` has two."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from datamodules.errors import DataError
from lightning_modules.classifier import ClassifierTraining
from lightning_modules.training.compilation import compile_blocks
from lightning_modules.training.ema import averaged_copy, update_average
from lightning_modules.training.optimization import Method, OptimizerSettings
from lightning_modules.training.sharding import (
    data_mesh,
    gathered,
    numbered_by_module,
    shard_blocks,
    whole,
)
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.classifier import SmallClassifier
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import Conditions
from models.priors.masked import MaskedPrior
from models.priors.token_prior import TokenPrior
from models.recipe import build_model


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    dist.init_process_group("gloo", f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    dist.destroy_process_group()


def test_what_is_not_divided_is_refused(mesh: DeviceMesh) -> None:
    module = ClassifierTraining(SmallClassifier(2, 16, 8), max_images=20_000)
    module.configure_model()
    module._device_mesh = mesh
    with pytest.raises(DataError, match=r"ClassifierTraining is whole .* `trainer\.strategy`"):
        module.configure_model()


def tiny_prior(
    build: Callable[..., TokenPrior] = AutoregressivePrior,
    checkpointing: bool = False,
    width: int = 8,
) -> TokenPrior:
    torch.manual_seed(0)
    layout, size = TokenLayout(2, 2), ViTSize(width, 2, 2)
    return build(8, layout, size, dropout=0.0, checkpointing=checkpointing)


def divided(mesh: DeviceMesh, *settings: Any, in_bf16: bool = False) -> TokenPrior:
    prior = tiny_prior(*settings)
    shard_blocks(prior, prior.transformer.blocks, data_mesh(mesh), in_bf16=in_bf16)
    return prior


def loss(prior: TokenPrior) -> torch.Tensor:
    tokens = torch.arange(8).reshape(2, 4)
    conditions = Conditions.of(torch.tensor([-1, -1]))
    return prior.training_loss(tokens, conditions, torch.Generator().manual_seed(0)).loss


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("build", [AutoregressivePrior, MaskedPrior])
def test_a_divided_prior_learns_what_a_whole_one_does(
    build: Callable[..., TokenPrior], checkpointing: bool, mesh: DeviceMesh
) -> None:
    norms, settings = [], (build, checkpointing)
    priors = tiny_prior(*settings), divided(mesh, *settings)
    averages = [averaged_copy(tiny_prior(*settings)) for _ in priors]
    shard_blocks(averages[1], averages[1].transformer.blocks, data_mesh(mesh))
    assert all(isinstance(parameter, DTensor) for parameter in priors[1].parameters())
    for prior, average in zip(priors, averages, strict=True):
        optimizer = OptimizerSettings(lr=0.1).build(prior)
        for _ in range(2):
            optimizer.zero_grad()
            loss(prior).backward()
            norms.append(whole(torch.nn.utils.clip_grad_norm_(prior.parameters(), 0.5)))
            optimizer.step()
            update_average(average, prior, 0.5)
    torch.testing.assert_close(norms[:2], norms[2:])
    for models in (priors, averages):
        ours, theirs = (model.state_dict() for model in models)
        for name, value in ours.items():
            torch.testing.assert_close(whole(theirs[name]), value)
    moved = averages[0].head.weight - tiny_prior(*settings).head.weight
    assert moved.abs().mean() > 0.01


def test_compiled_blocks_can_be_divided(mesh: DeviceMesh) -> None:
    torch._dynamo.reset()
    whole_prior, prior = tiny_prior(checkpointing=True), tiny_prior(checkpointing=True)
    assert len(compile_blocks(prior, "aot_eager")) == 2
    shard_blocks(prior, prior.transformer.blocks, data_mesh(mesh))
    for model in (whole_prior, prior):
        loss(model).backward()
    for ours, theirs in zip(whole_prior.parameters(), prior.parameters(), strict=True):
        torch.testing.assert_close(whole(theirs.grad), ours.grad)
    assert prior.state_dict().keys() == whole_prior.state_dict().keys()


def test_muon_moves_a_divided_prior_as_a_whole_one(mesh: DeviceMesh) -> None:
    settings = (MaskedPrior, False, 16)
    priors = tiny_prior(*settings), divided(mesh, *settings)
    for prior in priors:
        optimizer = OptimizerSettings(lr=0.1, method="muon").build(prior)
        assert optimizer.param_groups[0]["params"]
        for _ in range(2):
            optimizer.zero_grad()
            loss(prior).backward()
            optimizer.step()
    ours, theirs = (prior.state_dict() for prior in priors)
    for name, value in ours.items():
        torch.testing.assert_close(whole(theirs[name]), value)
    name = "transformer.blocks.0.mlp.0.weight"
    moved = ours[name] - tiny_prior(*settings).state_dict()[name]
    assert moved.abs().mean() > 0.01


@pytest.mark.parametrize("checkpointing", [False, True])
def test_weights_that_are_gathered_in_bfloat16_are_those_that_autocast_rounds(
    checkpointing: bool, mesh: DeviceMesh
) -> None:
    settings = (AutoregressivePrior, checkpointing)
    priors = tiny_prior(*settings), divided(mesh, *settings, in_bf16=True)
    losses = []
    for prior in priors:
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(loss(prior))
        losses[-1].backward()
    assert losses[0] == losses[1]
    mlp = priors[1].transformer.blocks[0].mlp
    mlp.unshard()
    assert mlp[0].weight.dtype == torch.bfloat16
    mlp.reshard()
    for ours, theirs in zip(*(prior.parameters() for prior in priors), strict=True):
        assert theirs.grad.dtype == torch.float32
        torch.testing.assert_close(whole(theirs.grad), ours.grad)


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_a_broken_step_leaves_a_divided_prior_as_it_is(method: Method, mesh: DeviceMesh) -> None:
    prior = divided(mesh, MaskedPrior, False, 16)
    optimizer = OptimizerSettings(lr=0.1, method=method).build(prior)
    for found in (0.0, 1.0):
        before = {name: whole(value).clone() for name, value in prior.state_dict().items()}
        optimizer.zero_grad()
        (loss(prior) * (torch.nan if found else 1.0)).backward()
        optimizer.found_inf = torch.tensor(found)
        optimizer.step()
        kept = [torch.equal(whole(prior.state_dict()[name]), before[name]) for name in before]
        assert all(kept) if found else not all(kept)


def test_dividing_leaves_the_recipe_alone(mesh: DeviceMesh) -> None:
    assert divided(mesh).recipe() == tiny_prior().recipe()


def test_a_divided_prior_is_gathered_and_a_whole_one_is_itself(mesh: DeviceMesh) -> None:
    prior = divided(mesh)

    def build() -> TokenPrior:
        built = build_model(prior.recipe())
        assert isinstance(built, TokenPrior)
        return built

    found = gathered(prior, build)
    assert not found.training
    expected = tiny_prior().state_dict()
    assert found.state_dict().keys() == expected.keys()
    for name, value in found.state_dict().items():
        assert not isinstance(value, DTensor)
        assert torch.equal(value, expected[name])
    assert gathered(found, build) is found
    assert whole(value) is value


def test_processes_that_share_images_are_refused() -> None:
    class Dimension:
        def __init__(self, processes: int) -> None:
            self.processes = processes

        def size(self) -> int:
            return self.processes

    mesh = {"data_parallel": Dimension(4), "tensor_parallel": Dimension(1)}
    assert data_mesh(mesh) is mesh["data_parallel"]
    mesh["tensor_parallel"] = Dimension(8)
    with pytest.raises(DataError, match=r"gives 8 processes the same images .*ShardedStrategy"):
        data_mesh(mesh)


def test_states_of_optimisers_are_numbered_like_the_parameters_of_the_module() -> None:
    prior = tiny_prior()
    optimizer = OptimizerSettings(lr=0.1).build(prior)
    loss(prior).backward()
    optimizer.step()
    numbered = numbered_by_module(optimizer.state_dict(), optimizer, prior)
    for number, parameter in enumerate(prior.parameters()):
        assert torch.equal(
            numbered["state"][number]["exp_avg"], optimizer.state[parameter]["exp_avg"]
        )
        (group,) = (
            n for n, group in enumerate(numbered["param_groups"]) if number in group["params"]
        )
        assert any(parameter is p for p in optimizer.param_groups[group]["params"])

    other = tiny_prior()
    again = OptimizerSettings(lr=0.2).build(other)
    again.load_state_dict(numbered)
    assert again.param_groups[0]["lr"] == 0.1
    for ours, theirs in zip(prior.parameters(), other.parameters(), strict=True):
        assert torch.equal(optimizer.state[ours]["exp_avg_sq"], again.state[theirs]["exp_avg_sq"])
