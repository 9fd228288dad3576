"""`python -m benchmarks.results`: measure every trained configuration, and write `docs/results.md`.

What is measured is kept in docs/results/, a file a table, and is measured again only where the
checkpoint or the command is another one. A configuration without a finished run here keeps what was
measured of it elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.results_entries import REPORTS, TABLES, Report, Table
from benchmarks.results_page import header_lines, page
from datamodules.errors import DataError
from datamodules.files import write_atomically, write_json
from datamodules.json_values import as_object, parse_json
from datamodules.manifest import MANIFEST_NAME
from lightning_modules.cli.faults import exit_code
from lightning_modules.cli.main import main as wild3d
from lightning_modules.cli.run_record import machine
from lightning_modules.inference.provenance import made_now

REPEATS = 5
STORE = Path("docs/results")
PAGE = Path("docs/results.md")
TRAININGS = STORE / "trainings.json"
CODE = ("benchmarks", "datamodules", "lightning_modules", "models", "renderers")


def runs_of_configs() -> dict[str, str]:
    """Folder of the run of each shipped configuration that trains, by its path below configs/."""
    found = {}
    for path in sorted(Path("configs").rglob("*.yaml")):
        if run := re.search(r"^run: (\S+)$", path.read_text(), re.MULTILINE):
            found[str(path.relative_to("configs"))] = run[1]
    return found


def checkpoint_of(run: str) -> str:
    """The best checkpoint of a run."""
    return f"{run}/checkpoints/best.ckpt"


def command_of(table: Table, runs: dict[str, str]) -> str:
    """The command that measures a table.

    runs: folder of the run of each configuration.
    """
    checkpoints = " ".join(checkpoint_of(runs[config]) for config in table.configs)
    features = f" --features {checkpoint_of(f'runs/{table.features}')}" if table.features else ""
    return (
        f"wild3d evaluate --checkpoint {checkpoints} --root {table.root}{features} "
        f"--repeats {REPEATS} {table.options}"
    )


def missing(paths: list[str]) -> str | None:
    """The first of the paths that is not there."""
    return next((path for path in paths if not Path(path).exists()), None)


def measure(table: Table, runs: dict[str, str], batch_size: int) -> str:
    """Measure a table, unless checkpoints, classifier, data and command are those it was measured
    with; returns what was done."""
    command, checkpoints = command_of(table, runs), [checkpoint_of(runs[c]) for c in table.configs]
    features = [checkpoint_of(f"runs/{table.features}")] if table.features else []
    root = f"{table.root}/{MANIFEST_NAME}"
    if lacking := missing([*checkpoints, root, *features, *table.folders]):
        return f"left as it is: there is no {lacking}"
    hashes = [made_now(checkpoint).checkpoint_sha256 for checkpoint in [*checkpoints, *features]]
    data = hashlib.sha256(Path(table.root, MANIFEST_NAME).read_bytes()).hexdigest()
    note = {"command": command, "checkpoints": hashes, "data": data}
    record, found = STORE / f"{table.name}.run.json", STORE / f"{table.name}.json"
    if found.exists() and _read(record).items() >= note.items():
        return "up to date"
    began = time.monotonic()
    words = [*shlex.split(command)[1:], "--out", str(found), "--batch_size", str(batch_size)]
    if wild3d(words) != 0:
        raise DataError(f"{table.name} can't be measured, see above.")
    tell_command(found, command)
    found.with_suffix(".md").unlink()  # the page has it
    for sheet in STORE.glob("*.png"):
        shrink(sheet)
    write_json(record, note | _measured(began))
    return "measured"


def tell_command(found: Path, command: str) -> None:
    """Name the command that anybody may give in results, in place of this program's own, whose
    options are paths of one machine."""
    content = _read(found)
    for result in content["results"]:
        result["provenance"]["command"] = command
    write_json(found, content)


def shrink(sheet: Path) -> None:
    """Keep a sheet as JPEG, which is a fifth as large."""
    with Image.open(sheet) as picture:
        picture.convert("RGB").save(sheet.with_suffix(".jpg"), quality=85)
    sheet.unlink()


def report(entry: Report, lowpoly: str | None) -> str:
    """Keep what a command prints, unless it is up to date; returns what was done.

    lowpoly: folder of the true views, where it is known.
    """
    checkpoints = [checkpoint_of(f"runs/{run}") for run in entry.runs]
    if lacking := missing(checkpoints):
        return f"left as it is: there is no {lacking}"
    if "LOWPOLY" in entry.command and lowpoly is None:
        return "left as it is: --lowpoly is not given"
    hashes = [made_now(checkpoint).checkpoint_sha256 for checkpoint in checkpoints]
    note = {"command": entry.command, "checkpoints": hashes}
    record, found = STORE / f"{entry.name}.run.json", STORE / f"{entry.name}.md"
    if found.exists() and _read(record).items() >= note.items():
        return "up to date"
    began, words = time.monotonic(), shlex.split(entry.command)[1:]
    words = [lowpoly if word == "LOWPOLY" and lowpoly else word for word in words]
    done = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("|") or not line.strip()]
    write_atomically(found, "\n".join(lines).strip() + "\n")
    write_json(record, note | _measured(began))
    return "measured"


def note_trainings(runs: dict[str, str]) -> None:
    """Keep the results of all finished runs of configurations, beside those of others."""
    kept = _read(TRAININGS)
    for config, run in runs.items():
        result, versions = Path(run, "result.json"), Path(run, "versions.json")
        if result.exists() and versions.exists():
            made = _read(versions)
            machine_of = made.get("machine", "a machine that was not recorded")
            of = {"run": run, "git": made.get("git"), "machine": machine_of}
            kept[config] = of | {"result": _read(result)}
    write_json(TRAININGS, dict(sorted(kept.items())))


def write_headers() -> None:
    """Write what is measured into the headers of configurations, in place of the lines there."""
    for config, kept in _read(TRAININGS).items():
        path = Path("configs", config)
        lines, new = path.read_text().splitlines(), header_lines(kept)
        place = next((n for n, line in enumerate(lines) if line.startswith(new[0][:28])), None)
        if place is None:
            raise DataError(f"{path} has no line that begins with {new[0][:28]!r}: add one.")
        old = lines[place : place + 2]
        lines[place : place + len(old)] = new
        write_atomically(path, "\n".join(lines) + "\n")


def code_revision() -> str:
    """Last commit that changed the code, `-dirty` with changes of it since; what is measured
    changes documents and headers alone."""
    asked = (["log", "-1", "--format=%H"], ["status", "--porcelain"])
    last, changed = (
        subprocess.run(["git", *words, "--", *CODE], check=True, capture_output=True, text=True)
        for words in asked
    )
    return last.stdout.strip() + ("-dirty" if changed.stdout else "")


def _measured(began: float) -> dict[str, Any]:
    taken = round(time.monotonic() - began)
    return {"seconds": taken, "machine": machine(), "git": code_revision()}


def _read(path: Path) -> dict[str, Any]:
    return dict(as_object(parse_json(path.read_bytes()), str(path))) if path.exists() else {}


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    names = [entry.name for entry in (*TABLES, *REPORTS)]
    parser.add_argument("--only", nargs="*", choices=names, help="tables to measure; none: no one")
    parser.add_argument("--lowpoly", help="folder of the true views of lowpoly")
    parser.add_argument("--batch_size", type=int, default=16, help="scenes measured at once")
    given = parser.parse_args()
    wanted = names if given.only is None else given.only
    runs = runs_of_configs()
    STORE.mkdir(parents=True, exist_ok=True)
    note_trainings(runs)
    write_headers()
    for table in TABLES:
        if table.name in wanted:
            print(f"{table.name}: {measure(table, runs, given.batch_size)}", flush=True)
    for entry in REPORTS:
        if entry.name in wanted:
            print(f"{entry.name}: {report(entry, given.lowpoly)}", flush=True)
    write_atomically(PAGE, page(STORE, runs))
    print(f"written {PAGE}")


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.results"))
