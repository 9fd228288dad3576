import pytest
from tiny_checkpoints import (
    TinyFiles,
    autoregressive,
    masked,
    save_photo,
    save_prior,
    save_stage1,
    spread_model,
)


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> TinyFiles:
    """Do not alter."""
    folder, model = tmp_path_factory.mktemp("tools"), spread_model()
    stage1 = save_stage1(model, folder / "stage1.ckpt")
    return TinyFiles(
        stage1,
        save_prior(autoregressive(model), model, stage1, folder / "autoregressive.ckpt"),
        save_prior(masked(model), model, stage1, folder / "masked.ckpt"),
        save_photo(folder / "first.png", 0),
        save_photo(folder / "second.png", 1),
    )
