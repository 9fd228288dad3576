import pytest

from lightning_modules.callbacks.scalars import Throughput


def test_throughput_counts_images_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("lightning_modules.callbacks.scalars.time.monotonic", lambda: now[0])
    throughput = Throughput()
    throughput.restart(500)
    for _ in range(2):  # one second of waiting, three of work
        now[0] += 1
        throughput.batch_arrived()
        now[0] += 3
        throughput.batch_done()
    figures = throughput.read(540)
    assert figures["throughput/images_per_second"] == pytest.approx(40 / 8)
    assert figures["throughput/data_wait_share"] == pytest.approx(2 / 8)
    assert figures["throughput/memory_gb"] > 0
    now[0] += 2
    assert throughput.read(544)["throughput/images_per_second"] == pytest.approx(2)
