from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import save_stage1
from tiny_gina3d import tiny_gina3d

from benchmarks.completion import Hidden, completion, hidden_photographs, main
from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_png
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.schema import Batch
from lightning_modules.inference.loading import load_stage1
from models.gina3d import GINA3D

RESOLUTION = 16


def test_the_truth_differs_where_an_occluder_was(hidden_root: str) -> None:
    (hidden, *_) = hidden_photographs(hidden_root, 64)
    changed = (hidden.truth - hidden.batch.float_image()).abs().amax(1) > 0.02
    assert changed[hidden.area].float().mean() > 0.95
    # Elsewhere light may change, by shadows of what was taken away.
    assert changed[~hidden.area].float().mean() < 0.3
    seen = hidden.batch.mask == 1
    assert (hidden.whole[seen]).float().mean() > 0.99  # the object goes on behind the occluder
    assert (hidden.area & hidden.whole).flatten(1).sum(1).min() >= 20


def test_behind_an_object_is_what_is_there_without_it(hidden_root: str) -> None:
    (hidden, *_) = hidden_photographs(hidden_root, 64)
    whole = hidden.whole[:, None].expand_as(hidden.truth)
    assert torch.equal(hidden.behind[~whole], hidden.truth[~whole])
    changed = (hidden.behind - hidden.truth).abs().amax(1) > 0.02
    assert changed[hidden.whole].float().mean() > 0.9


def empty_model() -> GINA3D:
    """A model that renders almost nothing."""
    model = tiny_gina3d()
    torch.nn.init.constant_(model.field.out.bias, -50.0)
    return model


def test_nothing_is_right_where_only_the_background_is_hidden() -> None:
    image = torch.randint(256, (2, 3, RESOLUTION, RESOLUTION), dtype=torch.uint8)
    batch = Batch(("a", "b"), image, torch.zeros(2, dtype=torch.long))
    area = torch.zeros(2, RESOLUTION, RESOLUTION, dtype=torch.bool)
    area[:, 4:12, 4:12] = True
    truth, nothing = batch.float_image(), torch.zeros_like(area)
    found = completion(empty_model(), Hidden(batch, truth, truth, area, nothing))
    assert (found["PSNR, dB"] > 60).all()
    assert (found["SSIM"] > 0.999).all()
    missed = completion(empty_model(), Hidden(batch, truth, truth, area, area))
    assert (missed["IoU of the silhouette"] == 0).all()


def test_nothing_is_wrong_where_an_object_is_hidden(hidden_root: str) -> None:
    (hidden, *_) = hidden_photographs(hidden_root, RESOLUTION)
    found = completion(empty_model(), hidden)
    gone = (hidden.area & hidden.whole)[:, None]
    squares = ((hidden.behind - hidden.truth).square() * gone).sum((1, 2, 3)) / (
        3 * gone.sum((1, 2, 3))
    )
    torch.testing.assert_close(
        found["PSNR of the object, dB"], -10 * squares.log10(), atol=0.1, rtol=0
    )
    assert found["PSNR of the object, dB"].mean() < 20


def test_the_program_prints_a_line_a_checkpoint(
    hidden_root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = save_stage1(tiny_gina3d(), tmp_path / "best.ckpt")
    assert load_stage1(path).resolution == RESOLUTION
    monkeypatch.setattr("sys.argv", ["completion", "--root", hidden_root, path])
    main()
    assert f"{path}: PSNR, dB" in capsys.readouterr().out


def test_photographs_of_which_no_truth_is_known_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((2, 3, 3), np.uint8)
    samples = [EncodedSample(f"{n}", encode_png(colours), "png", {"label": -1}) for n in range(2)]
    build_shards(tmp_path / "own", {"val": [2]}, lambda *_: iter(samples), 1, (), None, {})
    with pytest.raises(DataError, match="not written by `wild3d shapeworld`: no truth is known"):
        next(hidden_photographs(str(tmp_path / "own"), RESOLUTION))
