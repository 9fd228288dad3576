import pytest

from lightning_modules.callbacks.length import RunClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock on the wall shows, to be set."""
    time = [500.0]
    monkeypatch.setattr("lightning_modules.callbacks.length.time.monotonic", lambda: time[0])
    return time


def test_only_training_counts(now: list[float]) -> None:
    clock = RunClock()
    now[0] = 600.0
    assert clock.seconds == 0
    clock.on_train_start(None, None)
    now[0] = 630.0
    assert clock.seconds == 30
    clock.on_train_end(None, None)
    now[0] = 900.0
    assert clock.seconds == 30


def test_a_continued_run_counts_on_from_its_checkpoint(now: list[float]) -> None:
    first = RunClock()
    first.on_train_start(None, None)
    now[0] += 30
    checkpoint = first.state_dict()  # in the middle of training
    now[0] += 1000
    second = RunClock()
    second.load_state_dict(checkpoint)
    second.on_train_start(None, None)
    now[0] += 12
    second.on_train_end(None, None)
    assert second.seconds == 42
    assert second.state_dict() == {"seconds": 42}
