"""Wrong commands of every verb, from its signature and by hand, and what the last line names.

As a script it prints them with what they end in:

    PYTHONPATH=.:tests/lightning_modules python tests/lightning_modules/cli/wrong_usages.py
"""

import contextlib
import inspect
import io
import math
import shlex
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import torch
from tiny_checkpoints import (
    TinyFiles,
    autoregressive,
    masked,
    save_photo,
    save_prior,
    save_stage1,
    spread_model,
)
from tiny_classes import save_classifier, write_classes
from tiny_gan import save_gan
from tiny_run import write_config

from datamodules.ranges import Range
from lightning_modules.cli.arguments import option_groups
from lightning_modules.cli.main import main
from lightning_modules.cli.verbs import VERBS
from lightning_modules.inference.limits import Computing

PRIOR = "{autoregressive}"
RIGHT: Mapping[str, Sequence[str]] = {
    "shards": ["--source", "{photos}", "--out", "{out}"],
    "shapeworld": ["--root", "{out}"],
    "tokens": ["--checkpoint", "{stage1}", "--root", "{root}", "--out", "{out}"],
    "reconstruct": ["--checkpoint", "{stage1}", "--images", "{first}", "--out", "{out}"],
    "invert": [
        "--checkpoint",
        "{gan}",
        "--images",
        "{first}",
        "--classes",
        "mug",
        "--out",
        "{out}",
    ],
    "sample": ["--checkpoint", PRIOR, "--out", "{out}"],
    "video": ["--checkpoint", "{stage1}", "--images", "{first}", "--out", "{out}"],
    "mesh": ["--checkpoint", "{stage1}", "--images", "{first}", "--out", "{out}"],
    "interpolate": [
        *("--checkpoint", "{stage1}", "--images", "{first}", "{second}", "--out", "{out}"),
    ],
    "edit": [
        *("--checkpoint", PRIOR, "--image", "{first}", "--region", "0,0,.5,.5", "--out", "{out}"),
    ],
    "evaluate": [
        *("--checkpoint", PRIOR, "--root", "{root}", "--features", "{classifier}"),
        *("--samples", "4", "--out", "{out}/e.json"),
    ],
    "compare": ["--runs", "{result}", "--out", "{out}/t.md"],
    "origin": ["--files", "{first}"],
    "fit": ["--config", "{config}", "--data.root", "{root}", "--run", "{out}"],
    "validate": ["--config", "{config}", "--data.root", "{root}", "--run", "{out}"],
}
"""Right commands, with places of `Places` in braces."""

BY_HAND: Sequence[tuple[str, str]] = (
    ("foo", "foo"),
    ("sampel", "sample"),
    ("--run x", "--run"),
    ("shards --source {first}", "--out is missing"),
    ("shards --source {nothing} --out {out}", "nothing"),
    ("shards --source {photos} --out {out} --classes {nothing}", "nothing"),
    ("shards --source {photos} --out {out} --val_fraction 1", "val_fraction"),
    ("shards --source {photos} --out {out} --masks {nothing}", "nothing"),
    ("tokens --checkpoint {nothing} --root {root} --out {out}", "nothing"),
    ("tokens --checkpoint {first} --root {root} --out {out}", "first.png"),
    ("tokens --checkpoint {gan} --root {root} --out {out}", "gan.ckpt"),
    ("tokens --checkpoint {stage1} --root {nothing} --out {out}", "nothing"),
    ("reconstruct --checkpoint {nothing} --images {first} --out {out}", "nothing"),
    ("reconstruct --checkpoint {stage1} --images {nothing} --out {out}", "nothing"),
    ("reconstruct --checkpoint {stage1} --images '' --out {out}", "--images"),
    ("reconstruct --checkpoint {stage1} --images [] --out {out}", "--images"),
    ("reconstruct --checkpoint {gan} --images {first} --out {out}", "gan.ckpt"),
    ("reconstruct --checkpoint {stage1} --stage1 x --images {first} --out {out}", "--stage1"),
    ("reconstruct --checkpoint {stage1} --images {first} --size 15 --out {out}", "size is 15"),
    ("invert --checkpoint {gan} --images {first} --out {out}", "--classes"),
    ("invert --checkpoint {gan} --images {first} --classes cup --out {out}", "cup"),
    ("invert --checkpoint {gan} --images {first} --classes any --out {out}", "any"),
    ("invert --checkpoint {gan} --images {first} --classes mug mug --out {out}", "2 classes"),
    ("invert --checkpoint {stage1} --images {first} --classes mug --out {out}", "stage1.ckpt"),
    ("invert --checkpoint {gan} --images {first} --classifier {nothing} --out {out}", "nothing"),
    ("invert --checkpoint {gan} --images {first} --classifier resnet50 --out {out}", "resnet50"),
    ("invert --checkpoint {gan} --images {first} --classes mug --yaw_degrees 3 --out {out}", "yaw"),
    ("sample --checkpoint {stage1} --out {out}", "stage1.ckpt"),
    ("sample --checkpoint {autoregressive} --classes cup --out {out}", "cup"),
    ("sample --checkpoint {autoregressive} --classes 3 --out {out}", "3"),
    ("sample --checkpoint {autoregressive} --classes [] --out {out}", "--classes"),
    ("sample --checkpoint {autoregressive} --seeds [] --out {out}", "--seeds"),
    ("sample --checkpoint {autoregressive} --seeds 0,,x --out {out}", "x"),
    ("sample --checkpoint {autoregressive} --steps 3 --out {out}", "--steps"),
    ("sample --checkpoint {autoregressive} --semantics {nothing} --out {out}", "--semantics"),
    ("sample --checkpoint {autoregressive} --stage1 {nothing} --out {out}", "nothing"),
    ("sample --checkpoint {autoregressive} --truncation 0.5 --out {out}", "--truncation"),
    ("sample --checkpoint {gan} --temperature 0.5 --out {out}", "--temperature"),
    ("sample --checkpoint {gan} --classes any --out {out}", "any"),
    ("sample --checkpoint {autoregressive} out --out {out}", "'out'"),
    ("video --checkpoint {stage1} --out {out}", "--images"),
    ("video --checkpoint {stage1} --images {first} --classes mug --out {out}", "--classes"),
    ("video --checkpoint {stage1} --images {first} --seeds 1 --out {out}", "--seeds"),
    ("video --checkpoint {stage1} --images {first} --formats [] --out {out}", "formats"),
    ("video --checkpoint {stage1} --tokens {nothing} --out {out}", "nothing"),
    ("video --checkpoint {stage1} --tokens {first} --out {out}", "first.png"),
    ("video --checkpoint {stage1} --images {first} --rows 0 --out {out}", "--rows"),
    ("mesh --checkpoint {stage1} --images {first} --level 1 --quantile .5 --out {out}", "level"),
    ("mesh --checkpoint {stage1} --images {first} {first} --out {out}/x/y/z --sise 3", "'sise'"),
    ("interpolate --checkpoint {stage1} --images {first} --out {out}", "1 photographs"),
    ("interpolate --checkpoint {gan} --classes mug --seeds 1 --out {out}", "1 classes"),
    ("edit --checkpoint {autoregressive} --image {nothing} --region 0,0,1,1 --out {out}", "noth"),
    ("edit --checkpoint {autoregressive} --image {first} --region 1,0,0,1 --out {out}", "--region"),
    ("edit --checkpoint {autoregressive} --image {first} --region 0,0,1 --out {out}", "--region"),
    (
        "edit --checkpoint {autoregressive} --image {first} --region 0,0,1,1 --action insert "
        "--out {out}",
        "--source",
    ),
    (
        "edit --checkpoint {autoregressive} --image {first} --region 0,0,1,1 --action insert "
        "--source {nothing} --out {out}",
        "nothing",
    ),
    ("evaluate --checkpoint {autoregressive} --root {nothing} --metrics nfs --out {out}", "noth"),
    (
        "evaluate --checkpoint {autoregressive} --root {root} --features {nothing} --out {out}/e",
        "nothing",
    ),
    (
        "evaluate --checkpoint {autoregressive} --root {root} --features {classifier} "
        "--metrics [] --out {out}/e",
        "--metrics",
    ),
    (
        "evaluate --checkpoint {autoregressive} --root {root} --features {classifier} "
        "--split test --out {out}/e",
        "test",
    ),
    (
        "evaluate --checkpoint {autoregressive} --root {root} --features {classifier} "
        "--cache {first} --out {out}/e",
        "--cache",
    ),
    ("evaluate --checkpoint {autoregressive} --root {root} --out {photos}", "which is a folder"),
    ("evaluate --checkpoint {autoregressive} --root {root} --out {out}/", "which is a folder"),
    ("compare --runs {nothing}", "nothing"),
    ("compare --runs {photos} {first}", "first.png"),
    ("compare --runs {junk}", "no JSON"),
    ("compare --runs {listed}", "no figures"),
    ("compare --runs {result} {other}", "no figure in common"),
    ("compare --runs []", "--runs is empty"),
    ("compare --runs {result} --out {photos}", "which is a folder"),
    ("compare --runs {result} --out /dev/null", "device"),
    ("origin --files {nothing}", "nothing"),
    ("origin --files {photos}", "photos"),
    ("origin --files {config}", ".yaml"),
    ("fit", "--data and --model are missing"),
    ("fit --run {out}", "--config FILE"),
    ("fit --config {nothing}", "nothing"),
    ("fit --config {photos}", "which is a folder"),
    ("fit --config {first}", "not UTF-8"),
    ("fit --config {laughs}", "values"),
    ("fit --config {deep}", "levels"),
    ("fit --config {doubled}", "twice"),
    ("fit --config {tabs}", "no YAML"),
    ("fit --config {listing}", "a list"),
    ("fit --config {looped}", "laid over itself"),
    ("fit --config {empty}", "nothing"),
    ("validate --config {latin}", "not UTF-8"),
    ("sample --config {laughs}", "values"),
    ("sample --config {tabs}", "no YAML"),
    ("mesh --config {nothing}", "nothing"),
)

OF_RUNS: Sequence[tuple[str, str]] = (
    ("--trainer.accelerator gpu", "accelerator"),
    ("--trainer.accelerator foo", "foo"),
    ("--trainer.accelerator=", "accelerator"),
    ("--trainer.devices 0", "devices"),
    ("--trainer.devices -3", "devices"),
    ("--trainer.devices x", "devices"),
    ("--trainer.num_nodes 0", "num_nodes"),
    ("--trainer.strategy foo", "strategy"),
    ("--trainer.precision foo", "precision"),
    ("--trainer.precision 16", "precision"),
    ("--trainer.max_epochs x", "max_epochs"),
    ("--trainer.foo 3", "foo"),
    ("--seed_everything -1", "seed_everything"),
    ("--seed_everything 18446744073709551616", "seed_everything"),
    ("--model.max_images x", "max_images"),
    ("--model.max_images", "--model"),
    ("--model.weights.l2 x", "weights.l2"),
    ("--model.weights.l3 1", "weights.l3"),
    ("--model foo.Bar", "foo.Bar"),
    ("--model os.system", "os.system"),
    ("--model 3", "--model"),
    ("--data.batch_size x", "batch_size"),
    ("--data.rot x", "root"),
    ("--data.root {nothing}", "nothing"),
    ("--data.root=", "root"),
    ("--sheets.images x", "sheets.images"),
    ("--sheet.images 3", "sheets.images"),
    ("stray", "stray"),
    ("--model {nested}", "levels"),
)
"""Wrong words after a right `fit` or `validate`."""


@dataclass(frozen=True)
class Usage:
    """Words of a wrong command, with places in braces, and what its last line names."""

    words: tuple[str, ...]
    named: str

    @property
    def verb(self) -> str:
        """The first word."""
        return self.words[0]

    def __str__(self) -> str:
        return shlex.join(word[:40] for word in self.words)


def wrong_usages() -> list[Usage]:
    """All of them."""
    found = [Usage(tuple(shlex.split(line)), named) for line, named in BY_HAND]
    tried: set[tuple[str, str]] = set()
    for verb in VERBS:
        found += _of_signature(verb, tried)
    for verb in ("fit", "validate"):
        found += [Usage((verb, *RIGHT[verb], *shlex.split(w)), named) for w, named in OF_RUNS]
    for place in ("", "{first}", "{first}/x", "/proc/x", "x" * 300):
        found.append(Usage(("fit", *RIGHT["fit"], "--run", place), "--run"))
    return found


def _of_signature(verb: str, tried: set[tuple[str, str]]) -> Iterator[Usage]:
    """Each option with values that are none of its, without a value, and misspelt; each required
    option left out; results in places that can't be. Of an option that another verb has alike,
    which is in `tried`, one value only."""
    right, function = [verb, *RIGHT[verb]], VERBS[verb].load()
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty:
            place = right.index(f"--{name}")
            rest = right[place + 1 :]
            following = next((n for n, word in enumerate(rest) if word.startswith("--")), len(rest))
            yield Usage((*right[:place], *rest[following:]), f"--{name}")
    for name, hint in _options(verb).items():
        yield Usage((*right, f"--{name}"), f"--{name}")
        yield Usage((*right, f"--{name[0]}{name}", "1"), name)
        alike = (name, repr(hint)) in tried
        tried.add((name, repr(hint)))
        for value in _wrong_values(hint)[: 1 if alike else None]:
            yield Usage((*right, f"--{name}={value}"), f"--{name}")
    if (results := VERBS[verb].results) is not None:
        for place in ("", "{first}/x", "/proc/x", "x" * 300):
            yield Usage((*right, f"--{results}", place), f"--{results}")
        if VERBS[verb].writes != "file":
            yield Usage((*right, f"--{results}", "{first}"), "which is a file")


def _options(verb: str) -> dict[str, Any]:
    """Options of a verb with their annotations, limits included."""
    function = VERBS[verb].load()
    groups = option_groups(function)
    found = {}
    for target in (function, *groups.values()):
        hints = get_type_hints(target, include_extras=True)
        found |= {name: hints[name] for name in inspect.signature(target).parameters}
    return {name: hint for name, hint in found.items() if name not in groups}


def _wrong_values(hint: Any) -> list[str]:
    """Values that an annotation refuses."""
    parts = list(_parts(hint))
    if str in parts and not any(isinstance(part, Computing) for part in parts):
        return []
    found = ["x", ""] if set(parts) & {int, float, bool} else ["nonsense"]
    if int in parts:
        found += ["1.5", "nan", "1e99", "true"]
    if float in parts:
        found += ["nan", "inf", "-inf"]
    for part in parts:
        if isinstance(part, Range):
            found += [str(part.low - 1), str(2**70)]
            found += [str(part.high + 1)] if math.isfinite(part.high) else []
        if isinstance(part, Computing):
            found = ["gpu", "", "meta", "cuda:9999", "cpu:7", "cpu cuda", "CPU"]
            found += [] if torch.cuda.is_available() else ["cuda"]
    return found


def _parts(hint: Any) -> Iterator[Any]:
    """The types, literals and limits in an annotation."""
    if get_origin(hint) is Annotated:
        yield from _parts(hint.__origin__)
        yield from hint.__metadata__
    elif get_origin(hint) is Literal or not get_args(hint):
        yield hint
    else:
        for member in get_args(hint):
            yield from _parts(member)


def write_places(folder: Path) -> dict[str, str]:
    """Files that commands name, right and wrong ones, by the names in braces but `out`."""
    model = spread_model()
    stage1 = save_stage1(model, folder / "stage1.ckpt")
    (folder / "photos" / "cat").mkdir(parents=True)
    save_photo(folder / "photos" / "cat" / "one.png", 1)
    files = TinyFiles(
        stage1,
        save_prior(autoregressive(model), model, stage1, folder / "autoregressive.ckpt"),
        save_prior(masked(model), model, stage1, folder / "masked.ckpt"),
        save_photo(folder / "first.png", 0),
        save_photo(folder / "second.png", 1),
    )
    places = vars(files) | {
        "photos": str(folder / "photos"),
        "gan": save_gan(folder / "gan.ckpt"),
        "root": write_classes(folder / "shards"),
        "classifier": save_classifier(folder / "classifier.ckpt"),
        "config": str(write_config(folder)),
        "nothing": str(folder / "nothing"),
        "nested": '{"a": ' * 100 + "1" + "}" * 100,
    }
    results = {"result": '{"kid": 1}', "other": '{"fid": 1}', "junk": "{", "listed": "[1]"}
    for name, text in results.items():
        (folder / name).mkdir()
        (folder / name / "result.json").write_text(text)
        places[name] = str(folder / name)
    for name, content in _wrong_settings().items():
        (folder / f"{name}.yaml").write_bytes(content)
        places[name] = str(folder / f"{name}.yaml")
    return places


def _wrong_settings() -> dict[str, bytes]:
    repeats = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    laughs = ["a0: &a0 [x, x, x, x]", *repeats]
    return {
        "laughs": "\n".join(laughs).encode(),
        "deep": b"a: " + b"[" * 5000 + b"]" * 5000,
        "doubled": b"seed_everything: 1\nseed_everything: 2\n",
        "tabs": b"model:\n\tclass_path: x\n",
        "listing": b"- model\n- data\n",
        "looped": b"base: looped.yaml\n",
        "empty": b"",
        "latin": b"run: caf\xe9\n",
    }


@dataclass(frozen=True)
class Ending:
    """What a command ended in: its exit code, None after an exception of ours, and what it wrote to
    standard error."""

    code: int | None
    said: str

    @property
    def last(self) -> str:
        """The last line that was said."""
        return (self.said.strip().splitlines() or [""])[-1]


def ending(usage: Usage, places: Mapping[str, str], out: str) -> Ending:
    """Run a command in this process."""
    names = dict(places) | {"out": out}
    words = [word.format_map(names) if "{" in word else word for word in usage.words]
    said = io.StringIO()
    code: int | None = None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        except Exception:
            traceback.print_exc()
    return Ending(code, said.getvalue())


def print_table() -> None:
    """Print each command, its exit code and the last line that it says."""
    with tempfile.TemporaryDirectory() as folder:
        places = write_places(Path(folder))
        for usage in wrong_usages():
            found = ending(usage, places, f"{folder}/out")
            line = found.last.replace(folder, "FOLDER")
            print(f"{usage}\n    {found.code}  {line}", flush=True)


if __name__ == "__main__":
    print_table()
