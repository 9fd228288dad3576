"""`wild3d sample --semantics` conditions priors that were trained with feature vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles, attentive, run, save_prior, spread_model

from datamodules.errors import DataError
from lightning_modules.inference.prior_settings import read_vector
from lightning_modules.tools.sample import sample
from models.blocks.vit import ViTSize
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionKinds

WIDTH = 5


@pytest.fixture(scope="module")
def semantic(tiny_files: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prior over feature vectors alone."""
    torch.manual_seed(0)
    model, kinds = spread_model(), ConditionKinds(semantics=WIDTH)
    prior = AutoregressivePrior(model.codes, model.layout, ViTSize(16, 1, 2), kinds)
    path = tmp_path_factory.mktemp("semantic") / "prior.ckpt"
    return save_prior(attentive(prior), model, tiny_files.stage1, path)


def vector_file(folder: Path, values: object, name: str = "vector.npy") -> str:
    np.save(folder / name, np.asarray(values))
    return str(folder / name)


def test_a_vector_reaches_the_prior_and_its_length_does_not_matter(
    semantic: str, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(size=(2, WIDTH))
    files = [
        None,
        vector_file(tmp_path, values[0], "a.npy"),
        vector_file(tmp_path, values[0].astype(np.float16) * 4, "long.npy"),
        vector_file(tmp_path, values[1].astype(">f4"), "b.npy"),
    ]
    drawn = []
    for number, file in enumerate(files):
        out = tmp_path / str(number)
        given = {"seeds": tuple(range(12)), "semantics": file, "batch_size": 5}
        run(sample, semantic, out=str(out), size=2, views=1, **given)
        with np.load(out / "tokens.npz") as arrays:
            assert arrays["names"][7] == "seed7"
            drawn.append(arrays["tokens"])
    assert (drawn[1] == drawn[2]).mean() > 0.9  # but for float16
    for one, other in ((0, 1), (1, 3), (0, 3)):
        assert not np.array_equal(drawn[one], drawn[other])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros(WIDTH + 1),
            "The vector in --semantics has 6 numbers, .*prior.ckpt takes 5: give",
        ),
        (
            np.zeros((1, WIDTH)),
            r"vector.npy holds float64 of shape \(1, 5\): save one vector \(F,\)",
        ),
        (["a"] * WIDTH, r"vector.npy holds <U1 of shape \(5,\): save one vector"),
        ([0, 1, np.nan, 3, 4], "vector.npy holds numbers that are not finite: mend the vector of"),
        ([0, 1, 1e300, 3, 4], "vector.npy holds numbers that are not finite"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    values: object, message: str, semantic: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        run(sample, semantic, semantics=vector_file(tmp_path, values), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_priors_without_semantics_and_other_files_are_told(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    path = vector_file(tmp_path, np.zeros(WIDTH))
    with pytest.raises(DataError, match="trained without semantics: leave --semantics out"):
        run(sample, tiny_files.masked, semantics=path, out=str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.npy: check --semantics"):
        read_vector(str(tmp_path / "none.npy"), "--semantics")
    np.savez(tmp_path / "two.npz", a=1, b=2)
    with pytest.raises(DataError, match=r"two\.npz holds several arrays: save one vector"):
        read_vector(str(tmp_path / "two.npz"), "--semantics")
