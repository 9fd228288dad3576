"""The `wild3d` command: `fit` and `validate` by LightningCLI, and the verbs in `verbs.py`."""

import logging
import os
import shlex
import sys
import warnings
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from jsonargparse import ActionYesNo
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from rich.console import Console
from rich.table import Table

from datamodules.errors import DataError
from datamodules.files import write_json
from datamodules.places import results_in
from lightning_modules.callbacks.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
)
from lightning_modules.callbacks.curves import RunCurves
from lightning_modules.callbacks.length import RunClock, StopAfterImages
from lightning_modules.callbacks.progress import ImagesProgressBar
from lightning_modules.callbacks.scalars import ScalarLog
from lightning_modules.callbacks.sheets import Sheets
from lightning_modules.callbacks.stopping import NAMES, interruptible, is_first_process
from lightning_modules.cli.arguments import nulls_as_overlays
from lightning_modules.cli.arithmetic import use_tensor_cores
from lightning_modules.cli.bases import BASE, laid_below, with_bases
from lightning_modules.cli.continuing import (
    find_continued,
    malformed_part,
    restoring_fault,
    was_restoring,
)
from lightning_modules.cli.faults import exit_code, one_line
from lightning_modules.cli.hardware import check_hardware, suited_precision
from lightning_modules.cli.parser import NearestNameParser
from lightning_modules.cli.refusals import refusal
from lightning_modules.cli.run_record import SaveRunConfig, check_places
from lightning_modules.cli.validation_settings import check_fit_settings, was_counting_batches
from lightning_modules.cli.verbs import (
    TRAINER_VERBS,
    VERBS,
    check_verb,
    overview,
    run_verb,
    with_whole_verb,
)
from lightning_modules.inference.checkpoint_file import BEST, LAST, Checkpoint, read_checkpoint
from lightning_modules.training.base import TrainingModule

TRAINER_DEFAULTS = {
    "max_epochs": -1,
    "precision": "bf16-mixed",
    "use_distributed_sampler": False,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "check_val_every_n_epoch": None,
}


def _ask_nothing() -> None:
    """In place of a question of Lightning's."""


class RunCLI(LightningCLI):
    """LightningCLI whose run directory holds everything and is continued when it exists."""

    def __init__(self, args: Sequence[str], places: ExitStack) -> None:
        """Run the verb; `places` holds the run's folder until it is over."""
        self.places = places
        try:
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=SaveRunConfig,
                save_config_kwargs={"save_to_log_dir": False},
                parser_kwargs={"prog": "wild3d"},
                trainer_defaults=TRAINER_DEFAULTS,
                seed_everything_default=0,
                parser_class=NearestNameParser,
                args=nulls_as_overlays(with_bases(args)),
            )
        except (DataError, OSError, MemoryError):
            raise
        except Exception as error:
            if was_restoring(error):
                raise restoring_fault(error, self._checkpoint) from error
            if was_counting_batches(error):
                raise DataError(one_line(str(error))) from error
            raise

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's verbs that make sense here."""
        return {name: LightningCLI.subcommands()[name] for name in ("fit", "validate")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--run`, `--compile`, `base` and the callbacks that every run has."""
        parser.add_argument("--run", type=str, default="runs/run", help="Directory of the run.")
        parser.add_argument(
            "--compile",
            action=ActionYesNo,
            nargs="?",
            default=False,
            help="Compile transformer, synthesis and discriminator blocks (`torch.compile`).",
        )
        parser.add_argument(f"--{BASE}", type=laid_below, help=SUPPRESS)
        parser.link_arguments("run", "trainer.default_root_dir")
        parser.add_lightning_class_args(StopAfterImages, "stop")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(BestCheckpoint, "best_checkpoint")
        parser.add_lightning_class_args(ScalarLog, "scalars")
        parser.add_lightning_class_args(Sheets, "sheets")
        parser.add_lightning_class_args(ImagesProgressBar, "progress")
        parser.add_lightning_class_args(RunClock, "clock")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and refuse hardware and seeds that can't be, and a run that can't be written."""
        super().parse_arguments(parser, args)
        settings = self.config[self.config.subcommand]
        trainer = settings.trainer
        check_hardware(
            trainer.accelerator,
            trainer.devices,
            trainer.num_nodes,
            trainer.strategy,
            settings.seed_everything,
        )
        if settings.ckpt_path == "":
            raise DataError("--ckpt_path is empty: name a checkpoint, or leave it out.")
        if self.config.subcommand == "fit":
            self.places.enter_context(results_in(settings.run, "--run"))
            check_places(Path(settings.run))

    def _parse_ckpt_path(self) -> None:
        """Nothing: our checkpoints hold no hyperparameters, and are read once, checked."""

    def instantiate_classes(self) -> None:
        """Build everything; settings that do not fit together end in one sentence."""
        if self.subcommand == "fit":
            check_fit_settings(self.config.fit.trainer)
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise DataError(refusal(error, self.config[self.subcommand].model)) from error

    @property
    def _checkpoint(self) -> str:
        """The checkpoint that the verb takes up."""
        return str(self.config_init[self.config_init.subcommand].ckpt_path)

    @property
    def run_folder(self) -> Path:
        """The run directory."""
        return Path(self.config[self.subcommand].run)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Save atomically, and log to the run's TensorBoard folder unless told otherwise."""
        settings = self.config_init[self.subcommand].trainer
        own_logger = settings.logger is None
        kwargs["logger"] = False if own_logger else settings.logger
        checkpoints = AtomicCheckpointIO()
        kwargs["plugins"] = [checkpoints, *(settings.plugins or [])]
        kwargs["precision"] = self._suit_precision()
        trainer: Trainer = super().instantiate_trainer(**kwargs)
        # Lightning asks at every step whether the first process got SIGTERM, and all wait for each
        # other and for their devices; `LastCheckpoint` sees to signals now and then.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _ask_nothing  # type: ignore[method-assign]
        checkpoints.opened = self._find_continued(trainer) if self.subcommand == "fit" else None
        if own_logger:
            # Lightning sets its list of callbacks without declaring it.
            callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
            opened = checkpoints.opened
            callbacks.insert(0, RunCurves(None if opened is None else opened.images_seen))
        return trainer

    def _suit_precision(self) -> str:
        """The precision this hardware can do, said and stored with the run where it is another."""
        trainer = self.config[self.subcommand].trainer
        precision, why = suited_precision(str(trainer.precision), str(trainer.accelerator))
        if why is not None:
            print(why)
            trainer.precision = precision
        return precision

    def _find_continued(self, trainer: Trainer) -> Checkpoint | None:
        """Continue from a checkpoint where there is one, and say so."""
        assert isinstance(self.model, TrainingModule)

        def fault_of(opened: Checkpoint) -> str | None:
            return malformed_part(opened, trainer, self.model)

        found = find_continued(self.run_folder, self.config_init.fit.ckpt_path, fault_of)
        if found is None:
            return None
        opened, said = found
        if is_first_process():
            print(said)
        self.config_init.fit.ckpt_path = str(opened.path)
        return opened

    def before_fit(self) -> None:
        """Read checkpoints without code, and compile blocks if asked to."""
        self.config_init.fit.weights_only = True
        assert isinstance(self.model, TrainingModule)
        self.model.compiles = self.config_init.fit.compile

    @interruptible(NAMES, "after the training, which is saved")
    def after_fit(self) -> None:
        """Measure the final model on the whole validation split and write the result."""
        self.trainer.limit_val_batches = 1.0
        self.trainer.validate(self.model, self.datamodule, verbose=False)
        assert isinstance(self.model, TrainingModule)
        metrics = self._metrics() | {
            "images_seen": self.model.images_seen,
            "seconds": round(self.config_init.fit.clock.seconds, 1),
        }
        if self.trainer.is_global_zero:
            # What figures were measured with means nothing where there are none.
            measured = bool(self._metrics())
            how = {"protocol": self.model.protocol, "trainer_precision": self.trainer.precision}
            words = self.model.facts() | how if measured else {}
            print_metrics(f"Result of {self.run_folder}", metrics)
            write_json(self.run_folder / "result.json", metrics | words)
            print_places(self.run_folder)

    def before_validate(self) -> None:
        """Measure the best checkpoint of the run, unless another was named, on the whole split."""
        self.trainer.limit_val_batches = 1.0
        if self.config_init.validate.ckpt_path is None:
            self.config_init.validate.ckpt_path = str(self.run_folder / "checkpoints" / BEST)
        elif not Path(self.config_init.validate.ckpt_path).is_file():
            # Lightning would look for its own in place of `best` and `last`.
            read_checkpoint(self.config_init.validate.ckpt_path)
        self.config_init.validate.verbose = False
        self.config_init.validate.weights_only = True

    def after_validate(self) -> None:
        """Print the metrics."""
        if self.trainer.is_global_zero:
            print_metrics(str(self.config_init.validate.ckpt_path), self._metrics())

    def _metrics(self) -> dict[str, float]:
        return {
            name.removeprefix("val/"): round(float(value), 4)
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith("val/")
        }


def print_metrics(title: str, metrics: Mapping[str, float]) -> None:
    """Print named metrics as a table."""
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)


def print_places(run: Path) -> None:
    """Say where the results of a run are, as far as there are any."""
    best, last = (run / "checkpoints" / name for name in (BEST, LAST))
    curves = run / "tensorboard"
    places = {
        "Figures": (run / "result.json", ""),
        "Sheets of pictures": (run / "sheets", ""),
        "Curves": (curves, "tensorboard --logdir "),
        "Checkpoint": (best if best.exists() else last, ""),
    }
    for name, (place, command) in places.items():
        if place.exists():
            print(f"{name + ':':22} {command}{shlex.quote(str(place)) if command else place}")
    if not best.exists():
        print(f"There is no {best}: no validation gave a figure while training.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code, see `exit_code`."""
    for name in ("stdout", "stderr"):  # which are None where the shell has closed them
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # names of files need not be text of the terminal's
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    args = with_whole_verb(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for module in (r"lightning\.", r"torch\.", r"torchmetrics"):
        warnings.filterwarnings("ignore", module=module)
    verb = next((word for word in args if word in (*TRAINER_VERBS, *VERBS)), (args or [""])[0])
    return exit_code(lambda: _run(args), verb)


def _run(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(overview())
        return
    use_tensor_cores()
    if args[0] in VERBS:
        run_verb(args[0], args[1:])
        return
    if not (args[0].startswith("-") and set(TRAINER_VERBS) & set(args)):
        check_verb(args[0])
    when = "" if args[0] == "validate" else "before training began, nothing to save"
    # Other verbs leave the signals of a cluster to the system: what they write is whole anyway.
    with ExitStack() as places, interruptible(NAMES, when):
        RunCLI(args, places)
