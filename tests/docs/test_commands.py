"""Commands of documents and of the headers of configurations: their options are known."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_modules.cli.arguments import gather_lists
from lightning_modules.cli.main import main
from lightning_modules.cli.verbs import VERBS, verb_parser, with_whole_verb

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
TRAININGS = {
    "train-stage1": "configs/vq3d/stage1_shapeworld.yaml",
    "train-stage2": "configs/vq3d/stage2_shapeworld.yaml",
    "train-gan": "configs/wildgan/shapeworld.yaml",
    "classifier": "configs/classifier/shapeworld.yaml",
}
"""Targets of `make` that train one model, and their configurations by default."""


def commands(text: str) -> Iterator[list[str]]:
    """Words of each command in the indented blocks of a text, variables of the shell replaced."""
    blocks = [line for line in text.splitlines() if line.startswith("    ")]
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(blocks)).splitlines():
        if assigned := re.fullmatch(r"\s*([A-Z0-9]+)=(\S+)", line):
            variables[assigned[1]] = assigned[2]
        elif re.match(r"\s*(wild3d|make) ", line):
            filled = re.sub(r"\$([A-Z0-9]+)", lambda name: variables[name[1]], line)
            yield shlex.split(filled, comments=True)


def commands_of(path: Path) -> Iterator[list[str]]:
    text = path.read_text()
    if path.suffix == ".yaml":  # remarks after a command are in brackets there
        header = re.findall(r"^#(.*?)(?:  +\(.*)?$", text, re.MULTILINE)
        text = "\n".join(f"    {line}" for line in header)
    return commands(text)


ALL = {shlex.join(words): words for path in DOCUMENTS + CONFIGS for words in commands_of(path)}
OF_VERBS = {name: words for name, words in ALL.items() if words[:1] == ["wild3d"]}
OF_TRAININGS = {
    name: words
    for name, words in ALL.items()
    if words[0] == "make" and words[1] in TRAININGS and any(" " in word for word in words)
}
"""Those that state options, or configurations laid over each other."""


@pytest.mark.parametrize("words", OF_VERBS.values(), ids=OF_VERBS)
def test_a_verb_knows_the_options(words: list[str]) -> None:
    verb, *options = with_whole_verb(words[1:])
    function = VERBS[verb].load()
    verb_parser(verb, function).parse_args(gather_lists(function, options))


@pytest.mark.parametrize("words", OF_TRAININGS.values(), ids=OF_TRAININGS)
def test_a_training_knows_the_options(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    given = dict(word.split("=", 1) for word in words[2:])
    configs = given.get("CONFIG", TRAININGS[words[1]]).split()
    stacked = [word for config in configs for word in ("--config", config)]
    options = shlex.split(given.get("ARGS", ""))
    with pytest.raises(SystemExit) as stop:
        main(["fit", *stacked, *options, "--print_config"])
    assert stop.value.code == 0
    assert "max_images" in capsys.readouterr().out
