"""Place of a process among others, and its GPU."""

import pytest
import torch

from lightning_modules.inference.processes import Place


@pytest.mark.parametrize(
    ("known", "place"),
    [
        ({}, Place()),
        (
            {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x"},
            Place(5, 8, 1),
        ),
        (
            {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "3", "SLURM_STEP_ID": "0"},
            Place(3, 4, 3),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, Place()),  # no srun
    ],
)
def test_the_place_among_processes_is_found(known: dict[str, str], place: Place) -> None:
    assert Place.found(known) == place


def test_processes_of_one_machine_take_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Place(n, 4, n).own_device("cuda") for n in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert Place(3, 4, 1).own_device("cuda:3") == "cuda:3"
    assert Place(3, 4, 1).own_device("cpu") == "cpu"
    assert Place().own_device("cuda") == "cuda"
