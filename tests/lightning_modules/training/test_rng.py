import itertools

import pytest
import torch

from lightning_modules.training.rng import Purpose, seed_dropout, step_rng


def draw(seed: int, images_seen: int, purpose: int, rank: int) -> torch.Tensor:
    return torch.rand(8, generator=step_rng(seed, images_seen, Purpose(purpose), rank=rank))


def test_the_same_place_in_a_run_draws_the_same_numbers() -> None:
    assert torch.equal(draw(3, 64_000, 0, 1), draw(3, 64_000, 0, 1))


def test_seeds_images_purposes_and_ranks_all_change_the_numbers() -> None:
    places = list(itertools.product((0, 1, 2), (0, 1, 2), (0, 1), (0, 1, 2)))
    streams = torch.stack([draw(*place) for place in places])
    assert len(streams.unique(dim=0)) == len(places)


@pytest.mark.parametrize("images_seen", [0, 10**9, 10**13])
def test_streams_look_uniform_far_into_a_run(images_seen: int) -> None:
    # Mean of 10,000 uniform numbers: 0.5 with a standard error of 0.0029.
    numbers = torch.rand(10_000, generator=step_rng(0, images_seen, Purpose.VIEWS))
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.015)


def test_drawing_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    draw(0, 0, 0, 0)
    assert torch.equal(torch.rand(4), expected)


def dropped(seed: int, images_seen: int, rank: int) -> list[bool]:
    seed_dropout(seed, images_seen, rank)
    return (torch.nn.functional.dropout(torch.ones(64), 0.5) == 0).tolist()


def test_dropout_is_that_of_its_place_in_a_run() -> None:
    with torch.random.fork_rng():
        first = dropped(3, 64, 1)
        torch.rand(100)
        assert dropped(3, 64, 1) == first
        others = [dropped(*place) for place in ((4, 64, 1), (3, 65, 1), (3, 64, 0))]
        assert first not in others
        assert 16 < sum(first) < 48


def test_dropout_has_a_stream_of_its_own() -> None:
    with torch.random.fork_rng():
        seed_dropout(0, 0, 0)
        numbers = torch.rand(8)
    others = [draw(0, 0, purpose, 0) for purpose in Purpose if purpose is not Purpose.DROPOUT]
    assert not any(torch.equal(numbers, other) for other in others)
