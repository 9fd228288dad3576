"""Compiled blocks against the same blocks run operation by operation; `test_sharding` divides
some."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings
from lightning_modules.stage2 import Stage2
from lightning_modules.training.compilation import BLOCKS, MOST_SHAPES, compile_blocks
from models.blocks.discriminators import ResidualBlock
from models.blocks.modulated import ModulatedConv
from models.blocks.super_resolution import ColorBlock
from models.blocks.synthesis import Synthesis, SynthesisBlock, SynthesisSize
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import TransformerBlock, ViTSize
from models.priors.masked import MaskedPrior

SIZE = ViTSize(16, 1, 2)
IMAGE, STYLE, TOKENS = (2, 8, 4, 4), (2, 6), (2, 5, 16)
CASES: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]]]] = {
    "transformer": (lambda: TransformerBlock(SIZE), [TOKENS]),
    "causal": (lambda: TransformerBlock(SIZE, causal=True), [(1, 300, 16)]),
    "context": (lambda: TransformerBlock(SIZE, context_width=8), [TOKENS, (2, 3, 8)]),
    "synthesis": (lambda: SynthesisBlock(8, 4, 9, 6, up=True), [IMAGE, (2, 9, 4, 4), STYLE]),
    "same size": (lambda: SynthesisBlock(8, 4, 9, 6, up=False), [IMAGE, (2, 9, 4, 4), STYLE]),
    "colour": (lambda: ColorBlock(8, 4, 6, up=True), [IMAGE, (2, 3, 4, 4), STYLE]),
    "modulated": (lambda: ModulatedConv(8, 4, 3, 6), [IMAGE, STYLE]),
    "residual": (lambda: ResidualBlock(8, 4), [(2, 8, 8, 8)]),
}


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def results(block: nn.Module, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Outputs of a block, and the gradients of their squares by inputs and weights."""
    rng = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=rng).requires_grad_() for shape in shapes]
    found = block(*inputs)
    outputs = list(found) if isinstance(found, tuple) else [found]
    total = torch.stack([output.square().sum() for output in outputs]).sum()
    weights = [*inputs, *block.parameters()]
    return [*outputs, *torch.autograd.grad(total, weights)]


def check(name: str, backend: str) -> None:
    build, shapes = CASES[name]
    torch.manual_seed(0)
    block = build()
    expected = results(block, shapes)
    assert compile_blocks(block, backend, fullgraph=True) == [block]
    for ours, theirs in zip(results(block, shapes), expected, strict=True):
        scale = float(theirs.detach().abs().max())
        torch.testing.assert_close(ours, theirs, atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_block_is_one_graph_and_changes_no_value(name: str) -> None:
    check(name, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["context", "synthesis"])
def test_the_code_that_is_made_of_a_block_changes_no_value(name: str) -> None:
    check(name, "inductor")


def test_all_kinds_of_blocks_are_tested() -> None:
    assert {type(build()) for build, _ in CASES.values()} == set(BLOCKS)


def test_names_copies_and_parts_of_blocks_stay() -> None:
    model = Synthesis(SynthesisSize(8, 6, 64, 8), 4)
    names = list(model.state_dict())
    blocks = compile_blocks(model, "eager")
    assert blocks == [model.first, *model.blocks]
    assert list(model.state_dict()) == names
    assert all(block._compiled_call_impl is not None for block in blocks)
    assert all(part._compiled_call_impl is None for part in model.blocks[0].children())
    assert all(part._compiled_call_impl is None for part in copy.deepcopy(model).modules())
    assert compile_blocks(model, "eager") == []


def test_blocks_of_many_sizes_are_all_compiled() -> None:
    counter = torch._dynamo.testing.CompileCounter()
    blocks = nn.ModuleList(ModulatedConv(width, 2, 1, 2) for width in range(1, 11))
    compile_blocks(blocks, counter, fullgraph=True)
    for width, block in enumerate(blocks, 1):
        block(torch.zeros(1, width, 2, 2), torch.zeros(1, 2))
    assert counter.frame_count == 10 < MOST_SHAPES


def test_both_networks_learn_the_same_of_a_compiled_discriminator_as_of_a_plain_one() -> None:
    rng = torch.Generator().manual_seed(0)
    real, made = (torch.rand(4, 3, 8, 8, generator=rng) for _ in range(2))
    losses, gradients = [], []
    for compiled in (False, True):
        torch.manual_seed(0)
        settings = DiscriminatorSettings(64, 8, r1=10.0, r1_interval=2)
        adversary, fake = Adversary(3, 8, settings), made.clone().requires_grad_()
        assert len(compile_blocks(adversary, "aot_eager", True) if compiled else [0]) == 1
        for step in range(2):  # the first with R1, a second derivative
            scored = adversary.score(fake)
            adversary.generator_loss(scored).backward()
            loss, logs = adversary.discriminator_loss(real, scored, step)
            assert ("r1" in logs) == (step == 0)
            loss.backward()
            losses.append(loss)
        gradients.append([fake.grad, *(p.grad for p in adversary.parameters())])
    torch.testing.assert_close(losses[:2], losses[2:])
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_a_compiled_block_has_no_second_derivative() -> None:
    block = ResidualBlock(4, 4)
    compile_blocks(block, "aot_eager")
    x = torch.ones(1, 4, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        gradient.sum().backward()


@pytest.mark.parametrize("compiles", [False, True])
def test_a_training_compiles_what_it_trains_if_it_is_to(compiles: bool) -> None:
    module = Stage2(MaskedPrior(4, TokenLayout(2, 2), ViTSize(8, 2, 2)), "stage1.ckpt")
    names, module.compiles = list(module.state_dict()), compiles
    module.configure_model()
    for block in module.prior.transformer.blocks:
        assert (block._compiled_call_impl is not None) == compiles
    for block in module.ema.transformer.blocks:
        assert block._compiled_call_impl is None
    assert list(module.state_dict()) == names
