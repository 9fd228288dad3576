"""Steps of a cached decoder; `test_autoregressive` compares them to a prior without a cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from tiny_priors import all_conditions, causal_prior

from models.priors import autoregressive
from models.priors.cached_decoder import WARM_UP, CachedDecoder, repeat
from models.priors.sampling import SampleNoise, TokenSampling

FAST_PATH = "models.priors.cached_decoder.fast_path"


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_write_where_the_first_one_did(
    kernels: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr(FAST_PATH, lambda storage: False)
    prior = causal_prior()
    decoder = CachedDecoder(prior.transformer, prior.head, 2, 4, dtype)
    storage = decoder.cache.data_ptr(), decoder.position.data_ptr()
    with torch.no_grad():
        for count in range(1, 5):
            decoder.step(torch.randn(2, 16))
            assert decoder.filled == int(decoder.position) == count
            written = decoder.cache.flatten(0, 3).ne(0).any(-1).all(0)
            assert written.tolist() == [True] * count + [False] * (4 - count)
    assert storage == (decoder.cache.data_ptr(), decoder.position.data_ptr())


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_generation_reads_nothing_back_from_a_device(
    guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def recorded(step: object, times: int, device: torch.device) -> None:
        steps.append((times, device.type))
        assert callable(step)
        for _ in range(times):
            step()

    monkeypatch.setattr(autoregressive, "repeat", recorded)
    prior, conditions = causal_prior().to("meta"), all_conditions(3).map(lambda x: x.to("meta"))
    settings = TokenSampling(0.9, 4, 0.8, guidance)
    tokens = prior.generate(conditions, SampleNoise(range(3), "meta"), settings)
    assert tokens.shape == (3, 12)  # a read of any value of a tensor on "meta" is an error
    assert steps == [(11, "meta")]


class FakeGraphs:
    """Records what is asked of `torch.cuda`."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.recording = False

    def step(self) -> None:
        """A step, run or recorded."""
        self.log.append("record" if self.recording else "run")

    def replay(self) -> None:
        """A replay of the recorded step."""
        self.log.append("replay")

    def wait_stream(self, other: object) -> None:
        """Order two streams."""
        self.log.append("wait")

    @contextmanager
    def graph(self, graph: object) -> Iterator[None]:
        """Record while entered."""
        self.recording = True
        yield
        self.recording = False

    @contextmanager
    def stream(self, stream: object) -> Iterator[None]:
        """Run on a side stream while entered."""
        self.log.append("side")
        yield
        self.log.append("main")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> FakeGraphs:
    fake = FakeGraphs()
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda device: fake)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: fake)
    monkeypatch.setattr(torch.cuda, "stream", fake.stream)
    monkeypatch.setattr(torch.cuda, "graph", fake.graph)
    return fake


def test_on_cuda_a_step_is_recorded_once_and_replayed(graphs: FakeGraphs) -> None:
    repeat(graphs.step, 10, torch.device("cuda"))
    warm_up = ["wait", "side", *["run"] * WARM_UP, "main", "wait"]
    assert graphs.log == [*warm_up, "record", *["replay"] * (10 - WARM_UP)]


@pytest.mark.parametrize(("times", "device"), [(10, "cpu"), (WARM_UP, "cuda"), (0, "cuda")])
def test_elsewhere_and_for_few_steps_nothing_is_recorded(
    times: int, device: str, graphs: FakeGraphs
) -> None:
    repeat(graphs.step, times, torch.device(device))
    assert graphs.log == ["run"] * times
