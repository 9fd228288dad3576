"""The verbs of `wild3d` beside `fit` and `validate`: each is one annotated function."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ActionConfigFile

from datamodules.errors import DataError
from datamodules.manifest import MANIFEST_NAME
from datamodules.places import result_file, results_in
from lightning_modules.cli.arguments import (
    call_flat,
    gather_lists,
    option_groups,
    restored,
    stand_ins,
)
from lightning_modules.cli.bases import with_bases
from lightning_modules.cli.parser import NearestNameParser

CONFIG = "config"


@dataclass(frozen=True)
class Verb:
    """Where a verb's function is, imported only when called, and what it does in a line.

    results: its option that says where results go; writes: what is made there.
    """

    module: str
    function: str
    summary: str
    results: str | None = "out"
    writes: Literal["folder", "file", "shards"] = "folder"

    def load(self) -> Callable[..., Any]:
        """The function; its annotations and docstring make the command line."""
        function: Callable[..., Any] = getattr(import_module(self.module), self.function)
        return function


VERBS = {
    "shards": Verb(
        "datamodules.build.shards",
        "shards",
        "Write shards from photographs.",
        writes="shards",
    ),
    "shards-waymo": Verb(
        "datamodules.build.waymo.verb",
        "shards_waymo",
        "Write shards from the object assets of Waymo.",
        writes="shards",
    ),
    "shapeworld": Verb(
        "datamodules.build.shapeworld.verb",
        "shapeworld",
        "Write the embedded data set.",
        results="root",
        writes="shards",
    ),
    "merge": Verb(
        "datamodules.build.merge",
        "merge",
        "Several shard roots as one.",
        writes="shards",
    ),
    "label depth": Verb(
        "lightning_modules.tools.label",
        "label_depth",
        "Pseudo-depth of the images of shards, by a network.",
        results=None,
    ),
    "label mask": Verb(
        "lightning_modules.tools.label",
        "label_mask",
        "Masks of the images of shards, by a network.",
        results=None,
    ),
    "label files": Verb(
        "lightning_modules.tools.label",
        "label_files",
        "Label files of other tools, beside the images of shards.",
        results=None,
    ),
    "semantics": Verb(
        "lightning_modules.tools.semantics",
        "semantics",
        "Feature vectors of images, into shards or files.",
        writes="shards",
    ),
    "tokens": Verb(
        "lightning_modules.tools.tokens",
        "tokens",
        "Write token shards with a stage-1 checkpoint.",
        writes="shards",
    ),
    "reconstruct": Verb(
        "lightning_modules.tools.reconstruct", "reconstruct", "Photo in; sheet, video and mesh out."
    ),
    "invert": Verb(
        "lightning_modules.tools.invert", "invert", "Fit a GAN to photos; sheet, video and mesh."
    ),
    "sample": Verb(
        "lightning_modules.tools.sample", "sample", "Sheets of scenes drawn from a prior or a GAN."
    ),
    "video": Verb("lightning_modules.tools.video", "video", "Fly a camera around scenes."),
    "mesh": Verb("lightning_modules.tools.mesh", "mesh", "Coloured meshes of scenes."),
    "interpolate": Verb(
        "lightning_modules.tools.interpolate",
        "interpolate",
        "Go from one photo or GAN scene to another.",
    ),
    "compose": Verb(
        "lightning_modules.tools.compose",
        "compose",
        "Several assets in one scene; sheet, video and mesh.",
    ),
    "edit": Verb("lightning_modules.tools.edit", "edit", "Redraw or replace a part of a photo."),
    "evaluate": Verb(
        "lightning_modules.tools.evaluate",
        "evaluate",
        "FID, KID, IS, recall, flatness of a generator.",
        writes="file",
    ),
    "compare": Verb(
        "lightning_modules.tools.compare",
        "compare",
        "Results of several runs as one table.",
        writes="file",
    ),
    "origin": Verb(
        "lightning_modules.tools.origin",
        "origin",
        "Say which command made a picture or mesh.",
        results=None,
    ),
}

TRAINER_VERBS = {
    "fit": "Train, or continue the run in --run from its last checkpoint.",
    "validate": "Measure a checkpoint on the validation split.",
}


def with_whole_verb(args: Sequence[str]) -> list[str]:
    """Arguments with a verb of two words, as `label depth`, as one."""
    whole = " ".join(args[:2])
    return [whole, *args[2:]] if whole in VERBS else list(args)


def run_verb(verb: str, args: Sequence[str]) -> None:
    """Parse the arguments of a verb and call it."""
    function = VERBS[verb].load()
    parser = verb_parser(verb, function)
    words, texts = stand_ins(function, gather_lists(function, with_bases(args)))
    values = parser.parse_args(words)
    options = {n: restored(value, texts) for n, value in vars(values).items() if n != CONFIG}
    with _tried(VERBS[verb], options):
        call_flat(function, options)


def _tried(verb: Verb, options: Mapping[str, Any]) -> AbstractContextManager[None]:
    """A verb's place of results, proved to take files before the work begins."""
    place = options.get(verb.results) if verb.results else None
    if place is None:
        return nullcontext()
    option = f"--{verb.results}"
    if verb.writes == "file":
        return result_file(place, option)
    with suppress(OSError):  # told by what follows
        if verb.writes == "shards" and place and Path(place, MANIFEST_NAME).is_file():
            return nullcontext()  # finished: nothing will be written
    return results_in(place, option)


def verb_parser(verb: str, function: Callable[..., Any]) -> NearestNameParser:
    """The parser of a verb's command line."""
    about = (inspect.getdoc(function) or "").split("\nArgs:")[0]
    parser = NearestNameParser(prog=f"wild3d {verb}", description=about, allow_abbrev=False)
    parser.add_argument(f"--{CONFIG}", action=ActionConfigFile, help="YAML file with options.")
    groups = option_groups(function)
    parser.add_function_arguments(function, as_group=False, as_positional=False, skip=set(groups))
    for group in groups.values():
        parser.add_class_arguments(group)
    return parser


def overview() -> str:
    """What `wild3d --help` prints: the verbs, a line each."""
    summaries = TRAINER_VERBS | {name: verb.summary for name, verb in VERBS.items()}
    lines = [f"  {name:12} {summary}" for name, summary in summaries.items()]
    head = "usage: wild3d VERB [options]\n\nverbs, each with its own --help:\n"
    return head + "\n".join(lines)


def check_verb(word: str) -> None:
    """DataError that names the nearest verb, or all of them, if a word is none."""
    known = [*TRAINER_VERBS, *VERBS]
    if word not in known:
        begun = [verb for verb in known if verb.startswith(f"{word} ")]
        near = begun or difflib.get_close_matches(word, known, n=1)
        meant = f"did you mean {' or '.join(near)}?" if near else f"name one of {', '.join(known)}."
        raise DataError(f"there is no verb '{word}': {meant}")
