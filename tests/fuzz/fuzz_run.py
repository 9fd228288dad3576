"""`make fuzz`: mutated files at every boundary that reads what users download, and a table."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from fuzz_boundaries import BOUNDARIES
from fuzz_runner import Boundary, Findings, fuzz, make_input

OUT = Path("outputs/fuzz")


def run(inputs: int, seed: int, seconds: float, names: list[str]) -> dict[str, Findings]:
    """Findings by boundary; inputs and seconds are shared out evenly."""
    torch.set_num_threads(1)
    chosen = [boundary for boundary in BOUNDARIES if not names or boundary.name in names]
    found: dict[str, Findings] = {}
    print(f"{'boundary':22} inputs  read refused signals hangs foreign  MiB", flush=True)
    for boundary in chosen:
        with tempfile.TemporaryDirectory(prefix="wild3d-fuzz-") as folder:
            share = -(-inputs // len(chosen))
            findings = fuzz(boundary, Path(folder), share, seed, seconds / len(chosen))
            _keep(boundary, Path(folder), findings, seed)
        found[boundary.name] = findings
        print(line(boundary.name, findings), flush=True)
    return found


def line(name: str, found: Findings) -> str:
    """A row of the table."""
    counts = (len(found.signals), len(found.hangs), len(found.foreign))
    return (
        f"{name:22} {found.inputs:6} {found.read:5} {found.refused:7} {counts[0]:7} {counts[1]:5} "
        f"{counts[2]:7} {found.peak_bytes / 2**20:5.0f}"
    )


def _keep(boundary: Boundary, folder: Path, findings: Findings, seed: int) -> None:
    """Keep inputs that did what none may do, and what they did, in `OUT`."""
    shutil.rmtree(OUT / boundary.name, ignore_errors=True)
    if findings.clean:
        return
    seeds = boundary.seeds(folder)
    bad = [*findings.signals, *findings.hangs, *list(findings.foreign)[:50]]
    (OUT / boundary.name).mkdir(parents=True)
    for number in bad:
        path = OUT / boundary.name / f"{number}.bin"
        path.write_bytes(make_input(boundary, seeds, seed, number))
    told = {"signals": findings.signals, "hangs": findings.hangs, "foreign": findings.foreign}
    (OUT / boundary.name / "found.json").write_text(json.dumps(told, indent=1))


def main() -> int:
    """Fuzz, and end with 1 where a process was ended, hung, or raised what it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--boundary", nargs="*", default=[])
    args = parser.parse_args()
    found = run(args.inputs, args.seed, args.seconds, args.boundary)
    total = sum(findings.inputs for findings in found.values())
    print(f"{total:,} inputs, {len(found)} boundaries")
    return 0 if all(findings.clean for findings in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
