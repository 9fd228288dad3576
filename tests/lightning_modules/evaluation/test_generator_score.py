import torch
from lightning import LightningModule
from tiny_classes import SIDE
from torch import Tensor

from lightning_modules.evaluation.distances import kernel_distance
from lightning_modules.evaluation.generator_score import SUBSETS, GeneratorScore, open_score
from lightning_modules.evaluation.real_images import RealImages


def real_images(root: str) -> Tensor:
    with RealImages.open(root, "train", SIDE).batches(24, 0) as loader:
        (batch,) = loader
    return batch.float_image()


def score(classifier: str, root: str, images: int = 24) -> GeneratorScore:
    return open_score(classifier, root, SIDE, images)


def test_it_is_low_for_real_images_and_high_for_noise(classifier: str, classes_root: str) -> None:
    found, real = score(classifier, classes_root), real_images(classes_root)
    found.update(real[:10])
    found.update(real[10:])
    alike = float(found.compute())
    found.reset()
    found.update(torch.rand(24, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    noise = float(found.compute())
    assert alike < 0.1 * noise
    fake = found.vectors[0]
    expected = kernel_distance(found.real.features.vectors, fake, SUBSETS, 24).mean
    torch.testing.assert_close(noise, expected, rtol=1e-5, atol=0)
    assert found.label.startswith("kid/classifier-tiny-")


def test_processes_draw_every_image_once_with_the_labels_of_the_data(
    classifier: str, classes_root: str
) -> None:
    found = score(classifier, classes_root)
    shares = [found.wanted(3, rank, 3) for rank in range(3)]
    drawn = sorted((pair for share in shares for pair in share), key=lambda pair: pair[1])
    assert drawn == found.wanted(3)
    assert [seed for _, seed in drawn] == list(range(24))
    assert sorted(label for label, _ in drawn) == [0] * 12 + [1] * 6 + [2] * 6
    assert {label for label, _ in found.wanted(0)} == {-1}


def test_it_gathers_what_other_processes_drew(classifier: str, classes_root: str) -> None:
    both, own, other = (score(classifier, classes_root) for _ in range(3))
    images = torch.rand(24, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    both.update(images)
    own.update(images[:10])
    other.update(images[10:])
    # What torchmetrics would do over two processes.
    own.distributed_available_fn = lambda: True
    own.dist_sync_fn = lambda states, group: [states, other.vectors[0]]
    torch.testing.assert_close(own.compute(), both.compute())
    alone = GeneratorScore(own.network, own.real, gather=False)
    alone.distributed_available_fn = lambda: True
    alone.dist_sync_fn = own.dist_sync_fn
    alone.update(images[:10])
    assert float(alone.compute()) != float(both.compute())


def test_a_module_that_holds_it_does_not_own_its_network(
    classifier: str, classes_root: str
) -> None:
    module = LightningModule()
    module.score = score(classifier, classes_root)
    module.score.update(torch.rand(4, 3, SIDE, SIDE))
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
