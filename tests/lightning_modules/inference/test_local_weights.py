from pathlib import Path

import pytest
import torch

from lightning_modules.inference.local_weights import cached_weights


def test_weights_lie_where_torch_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    assert cached_weights("net.pth") == tmp_path / "hub" / "checkpoints" / "net.pth"
