"""Training runs of the GAN by the command that a user types."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from run_processes import last
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_classes import CLASSES, save_classifier, write_classes
from tiny_gan_run import MAX_IMAGES, GANRuns
from torchvision.io import read_image

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.evaluation.metrics import MetricSettings
from lightning_modules.inference.checkpoint_file import read_checkpoint
from lightning_modules.inference.loading import averaged_model
from lightning_modules.pictures.drawing import GAP
from lightning_modules.tools.evaluate import evaluate
from models.wildgan import WildGAN


@pytest.fixture(scope="module")
def gan_runs(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> GANRuns:
    return GANRuns.write(tmp_path_factory.mktemp("config"), tiny_root)


@pytest.fixture(scope="module")
def run(gan_runs: GANRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "gan"
    assert gan_runs.fit(folder) == 0
    return folder


def curves(run: Path) -> EventAccumulator:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return events


def test_a_run_leaves_its_result_sheets_and_curves(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["images_seen"] == MAX_IMAGES
    assert 1 <= result["non_flatness"] <= 64
    assert "kid" not in result  # no network was given
    names = {path.name for path in (run / "sheets").iterdir()}
    assert names == {"000000016.png", "000000032.png", "000000048.png"}
    found = set(curves(run).Tags()["scalars"])
    assert {"generator/loss", "discriminator/loss", "discriminator/r1"} <= found
    assert {"generator/density_difference", "diversity/colors", "collapse/features"} <= found


def test_the_checkpoint_rebuilds_the_averaged_generator(run: Path) -> None:
    content = last(run)
    model = averaged_model(read_checkpoint(run / "checkpoints/last.ckpt"))
    assert isinstance(model, WildGAN)
    assert content["classes"] == ["disc"]
    view = model.scenes(model.mapped(torch.zeros(1, dtype=torch.long), [0])).view(
        model.views.canonical().camera(), 16, 16
    )
    assert view.rgb.shape == (1, 3, 16, 16)
    weights = model.state_dict()
    assert all(torch.equal(weights[n], content["state_dict"][f"ema.{n}"]) for n in weights)


@pytest.mark.slow
def test_an_interrupted_run_ends_like_a_whole_one(
    run: Path, gan_runs: GANRuns, tmp_path: Path
) -> None:
    assert gan_runs.fit(tmp_path, "--model.max_images", "20") == 0
    assert last(tmp_path)["images_seen"] == 20
    assert gan_runs.fit(tmp_path) == 0
    whole, continued = last(run), last(tmp_path)
    assert whole["collapse"] == continued["collapse"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, continued["state_dict"][name]), name


@pytest.mark.slow
def test_multi_view_can_be_switched_on_when_a_run_is_continued(
    gan_runs: GANRuns, tmp_path: Path
) -> None:
    assert gan_runs.fit(tmp_path, "--model.max_images", "16") == 0
    before = last(tmp_path)
    three = ["--model.multi_view.views", "3", "--model.multi_view.from_images", "24"]
    assert gan_runs.fit(tmp_path, *three, "--model.max_images", "32") == 0
    views = {event.step: event.value for event in curves(tmp_path).Scalars("train/views")}
    assert (views[8], views[24], views[32]) == (1, 1, 3)
    assert before["state_dict"].keys() == last(tmp_path)["state_dict"].keys()


@pytest.mark.slow
def test_a_run_begun_with_the_checkpoint_of_another_is_continued_with_its_own(
    run: Path, gan_runs: GANRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(run / "checkpoints/last.ckpt")
    command = ["--ckpt_path", base, "--model.multi_view.from_images", "0"]
    assert gan_runs.fit(tmp_path, *command, "--model.max_images", str(MAX_IMAGES + 8)) == 0
    assert f"Continuing {tmp_path} from {base}" in capsys.readouterr().out
    assert (tmp_path / "checkpoints/best.ckpt").exists()
    assert gan_runs.fit(tmp_path, *command, "--model.max_images", str(MAX_IMAGES + 16)) == 0
    said = capsys.readouterr().out
    assert f"from {tmp_path}/checkpoints/last.ckpt; {base} was to begin it, which is done" in said
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["ckpt_path"] is None
    rewound = ["--ckpt_path", f"{tmp_path}/checkpoints/best.ckpt"]
    assert gan_runs.fit(tmp_path, *rewound, "--model.max_images", str(MAX_IMAGES + 16)) == 0
    assert f"from {tmp_path}/checkpoints/best.ckpt" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_is_trained_by_one_process_at_a_time(
    gan_runs: GANRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = "import sys; from pathlib import Path; from datamodules.lock import FolderLock\n"
    hold += "lock = FolderLock(Path(sys.argv[1])); print(lock.take(), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        assert gan_runs.fit(tmp_path) == 2
    assert f"Another process is training in {tmp_path}: wait" in capsys.readouterr().err
    assert gan_runs.fit(tmp_path, "--model.max_images", "4") == 0
    assert not (tmp_path / ".lock").exists()


@pytest.mark.slow
def test_other_settings_of_the_model_are_told_when_a_run_is_continued(
    gan_runs: GANRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gan_runs.fit(tmp_path, "--model.max_images", "8") == 0
    assert "From now on" not in capsys.readouterr().out
    assert (
        gan_runs.fit(tmp_path, "--model.max_images", "12", "--model.generator.views.radius", "3")
        == 0
    )
    assert "From now on the model has views.radius 3.0 (until now 1.2)" in capsys.readouterr().out


def test_a_sheet_has_its_rows_however_few_images_validate(
    gan_runs: GANRuns, tmp_path: Path
) -> None:
    options = ["--model.max_images", "4", "--model.generator.classes", "0", "--sheets.images", "3"]
    assert gan_runs.fit(tmp_path, *options, "--data.val_batch_size", "1") == 0
    height = read_image(str(tmp_path / "sheets/000000004.png")).shape[-2]
    assert height == 3 * (16 + GAP)


@pytest.mark.slow
def test_a_collapse_switches_multi_view_on_and_is_remembered(
    gan_runs: GANRuns, tmp_path: Path
) -> None:
    # Diversity is never above its own peak, so a limit above 1 is a collapse at every look.
    collapsing = ["--model.collapse.low", "1.1", "--model.multi_view.on_collapse", "true"]
    assert gan_runs.fit(tmp_path, *collapsing, "--model.max_images", "32") == 0
    assert last(tmp_path)["collapse"]["collapsed_at"] == 16  # the second look
    views = {event.step: event.value for event in curves(tmp_path).Scalars("train/views")}
    assert (views[8], views[32]) == (1, 3)


@pytest.mark.slow
def test_rendering_may_start_small(gan_runs: GANRuns, tmp_path: Path) -> None:
    growing = ["--model.raw_side", "[[0, 4], [16, 8]]", "--model.max_images", "24"]
    assert gan_runs.fit(tmp_path, *growing) == 0
    sides = {event.step: event.value for event in curves(tmp_path).Scalars("train/raw_side")}
    assert (sides[8], sides[24]) == (4.5, 8)  # means of two steps


@pytest.mark.slow
def test_a_discriminator_may_see_disparity(gan_runs: GANRuns, tmp_path: Path) -> None:
    seeing = ["--model.shown.disparity", "true", "--model.max_images", "8"]
    assert gan_runs.fit(tmp_path, *seeing, "--data.depth", "true") == 0
    first = last(tmp_path)["state_dict"]["adversary.discriminator.from_image.weight"]
    assert first.shape[1] == 3 + 3 + 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model.generator.classes", "2"], "The generator has 2 classes, the data 1"),
        (["--data.resolution", "8"], "loaded at 8"),
        (["--model.shown.disparity", "true"], "set `data.depth` to true"),
        (["--model.raw_side", "2"], "model.raw_side is 2.0, it must be from 4 to 16"),
        (["--model.raw_side", "[[0, 4], [90, 8]]"], "raw_side ends at 6 pixels after 48 images"),
        (["--model.generator.box.half", "0.7"], "keep `model.generator.box.half` below 0.693"),
        (["--model.generator.raw_resolution", "5"], "renderings of 5"),
        (["--model.multi_view.views", "0"], "multi_view.views is 0"),
        (["--model.score.features", "none.ckpt"], "no checkpoint none.ckpt"),
        (["--model.discriminator.r1_interval", "0"], "model.discriminator.r1_interval is 0"),
        (["--model.density.interval", "0"], "model.density.interval is 0"),
        (
            ["--model.discriminator_optimizer.warmup", "1000000"],
            "lower `discriminator_optimizer.warmup`",
        ),
        (["--model.collapse.scenes", "1"], "collapse.scenes is 1 for 1 classes"),
        (["--best_checkpoint.monitor", "val/kid"], "the figures are val/non_flatness."),
        (["--trainer.precision", "16-mixed"], "give bf16-mixed or 32-true"),
    ],
)
def test_settings_that_do_not_fit_end_in_one_sentence(
    options: list[str],
    sentence: str,
    gan_runs: GANRuns,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert gan_runs.fit(tmp_path, *options) == 2
    written = capsys.readouterr().err
    assert sentence in written
    assert written.count("\n") == 1


@pytest.mark.slow
def test_objects_are_judged_and_scored_on_one_background(
    gan_runs: GANRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = GANRuns(gan_runs.config, tmp_path / "shards")
    classifier = save_classifier(tmp_path / "classifier.ckpt")
    options = ["--model.generator.classes", str(len(CLASSES)), "--model.collapse.scenes", "6"]
    options += ["--model.score.features", classifier, "--model.max_images", "16"]
    write_classes(runs.root)
    assert runs.fit(tmp_path / "run", *options, "--data.background", "1.0") == 0
    (features,) = (runs.root / "features").iterdir()
    assert features.stem.endswith("-on1")
    best = str(tmp_path / "run/checkpoints/best.ckpt")
    out, metrics = tmp_path / "figures.json", MetricSettings(("nfs",))
    evaluate(best, str(runs.root), classifier, samples=4, out=str(out), settings=metrics)
    assert json.loads(out.read_text())["protocol"]["background"] == 1.0
    drawn = ["--root", str(runs.root), "--features", classifier, "--samples", "4"]
    photo = [*drawn, "--background", "photo", "--metrics", "nfs", "--out", str(out)]
    assert main(["evaluate", "--checkpoint", best, *photo]) == 0
    assert json.loads(out.read_text())["protocol"]["background"] is None
    with pytest.raises(DataError, match=r"background is 0.5, but .* was trained on .* on 1.0: lea"):
        evaluate(best, str(runs.root), classifier, samples=4, background=0.5, settings=metrics)
    assert runs.fit(tmp_path / "grey", *options, "--data.background", "0.5") == 2
    assert "seen on grey 1.0, those of the data on 0.5" in capsys.readouterr().err


@pytest.mark.slow
def test_a_distribution_of_views_may_be_learned(gan_runs: GANRuns, tmp_path: Path) -> None:
    learning = ["--model.generator.view_cells", "{yaws: 4, heights: 2}", "--model.max_images", "24"]
    several = ["--model.multi_view", "{views: 2, from_images: 8}"]
    assert gan_runs.fit(tmp_path, *learning, *several) == 0
    odds = last(tmp_path)["state_dict"]["generator.view_prior.odds"]
    assert odds.shape == (1, 8)
    assert odds.abs().max() > 0
    assert "generator/view_entropy" in curves(tmp_path).Tags()["scalars"]


@pytest.mark.parametrize(
    ("network", "loss"), [("generator", "generator"), ("adversary", "discriminator")]
)
def test_a_gradient_that_is_not_finite_stops_before_its_network_changes(
    network: str,
    loss: str,
    gan_runs: GANRuns,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poison = ["--trainer.callbacks+", "run_probes.PoisonedGAN"]
    poison += ["--trainer.callbacks.network", network]
    assert gan_runs.fit(tmp_path, *poison) == 2
    said = capsys.readouterr().err
    assert f"the {loss} loss is nan in the step after 8 images" in said
    before = last(tmp_path)
    assert before["images_seen"] == 4  # that of 8 could not go on
    assert all(value.isfinite().all() for value in before["state_dict"].values())
