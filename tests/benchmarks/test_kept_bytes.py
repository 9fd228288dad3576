import torch

from benchmarks.harness import kept_bytes


def test_what_operations_keep_is_counted_once_and_without_inputs() -> None:
    x = torch.ones(10, requires_grad=True)
    weight = torch.full((10,), 2.0)

    def run() -> torch.Tensor:
        root = (x * weight).sqrt()  # keeps x and the weight for x, and its own 40 bytes
        return root.exp() * root  # keeps another 40, and the root again

    assert kept_bytes(run, [x, weight]) == 80
    assert kept_bytes(run, [x]) == 120
