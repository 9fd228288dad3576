"""Occluders of other images before objects whose truth is known."""

from dataclasses import replace

import pytest
import torch
from quick_training import train
from test_stage1_masked import MASKED, red_box_batch, stage
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules import stage1
from lightning_modules.losses.occlusion import shown
from lightning_modules.stage1_hiding import further_hidden


def hidden(share: float = 1.0, seed: int = 0):
    batch = red_box_batch()
    return batch, further_hidden(batch, share, torch.Generator().manual_seed(seed))


def test_occluders_are_those_of_another_image_and_all_else_stays() -> None:
    covered = 0
    for seed in range(20):
        batch, found = hidden(seed=seed)
        new = (found.mask == 2) & (batch.mask != 2)
        walls = batch.image.permute(0, 2, 3, 1)[batch.mask == 2]
        assert (found.image.permute(0, 2, 3, 1)[new] == walls[0]).all()
        assert torch.equal(found.mask[~new], batch.mask[~new])
        kept = ~new[:, None].expand_as(batch.image)
        assert torch.equal(found.image[kept], batch.image[kept])
        assert found.rays is batch.rays
        covered += int(new.any((1, 2)).sum())
        # Walls stand before the right half of the first two: these hide the others.
        assert not new[:2].any()
    assert 20 <= covered <= 40


def test_an_object_that_would_vanish_is_left_as_it_is() -> None:
    batch = red_box_batch()
    batch.mask[:2] = 2
    found = further_hidden(batch, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(found.mask[2:], batch.mask[2:])


def test_the_share_is_that_of_the_images() -> None:
    batch = red_box_batch()
    rows = [n % 2 * 3 for n in range(400)]  # every second has a wall
    found = further_hidden(batch[rows], 0.5, torch.Generator().manual_seed(2))  # an odd step
    new = ((found.mask == 2) & (batch[rows].mask != 2)).any((1, 2))
    assert 0.35 < new[1::2].float().mean() < 0.65
    same = further_hidden(batch, 0.0, torch.Generator())
    assert same is batch


def test_losses_compare_with_the_images_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[list[Tensor]] = []

    def recorded(rgb, opacity, image, visible, behind):
        compared[-1] += [image, visible.object, visible.background]
        return shown(rgb, opacity, image, visible, behind)

    def covered(batch: Batch, *_: object) -> Batch:
        return replace(
            batch, image=torch.zeros_like(batch.image), mask=torch.full_like(batch.mask, 2)
        )

    monkeypatch.setattr(stage1, "shown", recorded)
    totals = []
    for hide in (lambda batch, *_: batch, covered):
        monkeypatch.setattr(stage1, "further_hidden", hide)
        compared.append([])
        totals.append(train(stage(MASKED), red_box_batch(), 1)[0]["loss/total"])
    assert all(map(torch.equal, *compared))
    assert compared[0]
    assert totals[0] != totals[1]
