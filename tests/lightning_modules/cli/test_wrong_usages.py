from collections import Counter
from pathlib import Path

import pytest
from usages_by_hand import RIGHT
from wrong_usages import Ending, Usage, ending, write_places, wrong_usages

pytestmark = pytest.mark.slow

USAGES = wrong_usages()
VERBS = sorted({usage.verb for usage in USAGES})


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_places(tmp_path_factory.mktemp("wrong"))


def faults(usage: Usage, found: Ending, out: Path) -> list[str]:
    """What is wrong with the ending of a wrong command."""
    lines = [line for line in found.said.splitlines() if not line.startswith("Seed set to")]
    shortest = "" if usage.named in ("--run", "--out", "--root") else usage.named
    checks = {
        f"ended with {found.code}": found.code != 2,
        "a traceback": "Traceback" in found.said,
        "the usage": "usage:" in found.said,
        "several lines": len(lines) != 1,
        "not of the verb": not found.last.startswith(f"wild3d {usage.verb}: "),
        "no sentence": not found.last.endswith((".", "?", "!")),
        "an object": " object at 0x" in found.last or "<class" in found.last,
        f"{usage.named} is not named": (shortest or usage.named) not in found.last,
        "files are left": any(path.is_file() for path in out.rglob("*") if _is_ours(path)),
    }
    return [fault for fault, there in checks.items() if there]


def _is_ours(path: Path) -> bool:
    """False for the curves, which Lightning opens before the data."""
    return "tfevents" not in path.name


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_command_ends_in_one_sentence_and_leaves_nothing(
    verb: str, places: dict[str, str], tmp_path: Path
) -> None:
    wrong = []
    for number, usage in enumerate(one for one in USAGES if one.verb == verb):
        out = tmp_path / str(number)
        found = ending(usage, places, str(out))
        if broken := faults(usage, found, out):
            wrong.append(f"{usage}: {', '.join(broken)}\n    {found.said.strip()[-300:]}")
    assert not wrong, "\n".join(wrong)


def test_every_verb_has_many_wrong_commands() -> None:
    counts = Counter(usage.verb for usage in USAGES)
    assert counts.total() >= 250
    assert min(counts[verb] for verb in RIGHT) >= 5
