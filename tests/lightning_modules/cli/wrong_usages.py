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
from collections.abc import Iterator, Mapping
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
from tiny_depth import save_depth_network, write_depth_files
from tiny_gan import save_gan
from tiny_networks import salient_file
from tiny_run import write_config
from usages_by_hand import BY_HAND, OF_RUNS, RIGHT

from datamodules.ranges import Range
from lightning_modules.cli.arguments import option_groups
from lightning_modules.cli.main import main
from lightning_modules.cli.verbs import VERBS, with_whole_verb
from lightning_modules.inference.limits import Computing


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
    found = [Usage(tuple(with_whole_verb(shlex.split(line))), named) for line, named in BY_HAND]
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
        "other_root": write_classes(folder / "other_shards", seed=1),
        "depth": save_depth_network(folder / "depth.ckpt"),
        "depth_files": write_depth_files(folder / "depths"),
        "salient": write_salient(folder / "salient"),
        "classifier": save_classifier(folder / "classifier.ckpt"),
        "config": str(write_config(folder)),
        "waymo": write_no_parquet(folder / "waymo"),
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


def write_salient(folder: Path) -> str:
    """An ONNX network and the file that describes it."""
    salient_file(folder / "net.onnx")
    (folder / "net.yaml").write_text("{file: net.onnx, side: 16}")
    return str(folder / "net.yaml")


def write_no_parquet(folder: Path) -> str:
    """Folders of Waymo's components for vehicles, with files that are no parquet."""
    for name in ("veh_asset_camera_sensor", "veh_asset_auto_label", "veh_asset_ray", "lidar_box"):
        (folder / name).mkdir(parents=True)
        (folder / name / "segment.parquet").write_bytes(b"no parquet")
    return str(folder)


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
        "layout": b"assets: {mug: {class: mug}}",
        "crowded": b"assets: {one: {class: mug}, two: {class: chair, at: [0.5, 0, 0]}}",
        "photographed": b"assets: {mug: {image: first.png}}",
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
