import torch

from models.blocks.token_layout import TokenLayout
from models.blocks.token_transformer import TokenTransformer
from models.blocks.vit import ViTSize

LAYOUT = TokenLayout(2, 2, 3)


def test_tokens_of_all_planes_see_each_other() -> None:
    torch.manual_seed(0)
    network = TokenTransformer(ViTSize(8, 1, 2), LAYOUT)
    tokens = torch.randn(1, 12, 8)
    moved = tokens.clone()
    moved[0, 0] = torch.randn(8)
    assert ((network(moved) - network(tokens)).abs().amax(-1) > 1e-6).all()


def test_queries_that_are_alike_differ_by_their_places_and_see_the_context() -> None:
    torch.manual_seed(0)
    network = TokenTransformer(ViTSize(8, 2, 2), LAYOUT, context_width=5)
    queries, context = torch.zeros(2, 12, 8), torch.randn(2, 7, 5)
    lifted = network(queries, context)
    assert lifted.shape == (2, 12, 8)
    assert (lifted[0, 0] - lifted[0, 3]).abs().max() > 1e-3
    assert (lifted[0] - lifted[1]).abs().max() > 1e-3
