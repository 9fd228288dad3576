from pathlib import Path

import pytest
import torch
from tiny_classes import SIDE, save_classifier, tiny_classifier
from tiny_prior_run import write_stage1
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.utils import create_feature_extractor

from datamodules.errors import DataError
from lightning_modules.evaluation.networks import INCEPTION, INCEPTION_FILE, open_network
from lightning_modules.inference.loading import weights_hash


def images(count: int = 3, side: int = SIDE) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, side, side), generator=rng, dtype=torch.uint8)


def test_a_classifier_gives_its_features_and_logits(classifier: str) -> None:
    network, model = open_network(classifier), tiny_classifier()
    found = network(images())
    torch.testing.assert_close(found.vectors, model.features(images() / 255))
    torch.testing.assert_close(found.logits, model(images() / 255))


def test_its_name_is_that_of_the_data_and_its_weights(classifier: str, tmp_path: Path) -> None:
    network = open_network(classifier)
    assert network.name == f"classifier-tiny-{weights_hash(tiny_classifier())[:8]}"
    other = open_network(save_classifier(tmp_path / "other.ckpt", seed=1))
    assert other.name != network.name
    same = open_network(save_classifier(tmp_path / "same.ckpt"))
    assert (same.name, same.weights) == (network.name, network.weights)


def test_torch_fidelity_knows_it_by_that_name(classifier: str, tmp_path: Path) -> None:
    network = open_network(classifier)
    path = {"feature_extractor_weights_path": classifier, "verbose": False}
    extractor = create_feature_extractor(network.name, ["features"], cuda=False, **path)
    (vectors,) = extractor(images())
    assert torch.equal(vectors, network(images()).vectors)
    other = save_classifier(tmp_path / "other.ckpt", seed=1)
    path["feature_extractor_weights_path"] = other
    with pytest.raises(DataError, match=f"wanted was {network.name}"):
        create_feature_extractor(network.name, ["features"], cuda=False, **path)


def test_floats_are_rounded_to_bytes_and_computed_in_float32(classifier: str) -> None:
    network = open_network(classifier)
    expected = network(images()).vectors
    nearly = (images() + 0.3).clamp(max=255) / 255
    with torch.autocast("cpu", torch.bfloat16):
        found = network(nearly).vectors
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("path", [None, "nowhere.pth"])
def test_missing_inception_weights_are_told_in_one_sentence(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError) as caught:
        open_network("inception", path)
    sentence = str(caught.value)
    missing = path or str(tmp_path / "checkpoints" / INCEPTION_FILE)
    for words in (missing, "https://", "--features_weights", "--features", "make classifier"):
        assert words in sentence
    assert "\n" not in sentence


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained InceptionV3 in torch-fidelity's format."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        module = feature_extractor_inceptionv3
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3(INCEPTION, ["2048"])
    path = tmp_path_factory.mktemp("inception") / INCEPTION_FILE
    torch.save(network.state_dict(), path)
    return str(path)


def test_inception_is_loaded_from_a_file_and_named_after_it(
    inception_weights: str, tmp_path: Path
) -> None:
    network = open_network("inception", inception_weights)
    assert network.name == f"inception-v3-compat-{network.weights[:8]}"
    assert network.weights == open_network("inception", inception_weights).weights
    stored = torch.load(inception_weights)
    stored["fc.bias"][0] += 1
    other = tmp_path / "other.pth"
    torch.save(stored, other)
    assert open_network("inception", str(other)).name != network.name
    found = network(images(2, 8))
    assert found.vectors.shape == (2, 2048)
    assert found.logits.shape == (2, 1008)
    assert found.vectors.std(0).max() > 0


@pytest.mark.parametrize("content", [b"not made by torch", b"\x80\x02]q\x00(K", None])
def test_a_file_of_other_weights_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    if content is None:
        torch.save({1: torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong\.pth does not hold torch-fidelity's InceptionV3"):
        open_network("inception", str(path))


def test_what_is_no_classifier_is_refused(classifier: str, tmp_path: Path) -> None:
    stage1 = write_stage1(tmp_path / "stage1.ckpt")
    with pytest.raises(DataError, match="no checkpoint of a classifier: its model is a VQ3D"):
        open_network(stage1)
    with pytest.raises(FileNotFoundError, match="no checkpoint nowhere"):
        open_network("nowhere.ckpt")
    with pytest.raises(DataError, match=r"--features_weights is x\.pth, but only inception and"):
        open_network(classifier, "x.pth")
