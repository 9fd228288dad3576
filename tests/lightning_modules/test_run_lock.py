from pathlib import Path

from lightning_modules.run_lock import RunLock


def test_a_folder_is_trained_in_by_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = RunLock(), RunLock()
    assert first.take(tmp_path / "run")
    assert not second.take(tmp_path / "run")
    second.release()  # of what it does not have
    assert not second.take(tmp_path / "run")
    first.release()
    assert second.take(tmp_path / "run")
    second.release()
    assert not list((tmp_path / "run").iterdir())
