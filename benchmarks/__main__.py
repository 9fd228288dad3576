"""`python -m benchmarks`: print a table and write results.json beside this file, by benchmark.

It is written after every benchmark, and keeps what it had of those that were not run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import gan, gan_step, loader, priors, renderer
from benchmarks.harness import Rates, Result, gemm_rates, gemm_sides, gemm_size, interleaved
from datamodules.files import write_atomically

BENCHMARKS: dict[str, Callable[[Rates, int], list[Result]]] = {
    "loader": loader.run,
    "renderer": renderer.run,
    "priors": priors.run,
    "gan": gan.run,
    "gan_step": gan_step.run,
}


def show(results: list[Result], rates: Rates) -> None:
    """Print the figures as a table."""
    f32, bf16 = gemm_size(torch.float32), gemm_size(torch.bfloat16)
    title = f"GFLOP/s: float32 {rates.f32:.3g} at {f32}^3, bfloat16 {rates.bf16:.3g} at {bf16}^3"
    table = Table(title=title)
    for column in ("benchmark", "figure", "unit"):
        table.add_column(column, no_wrap=True)
    table.add_column("of / against")
    for entry in results:
        sides = " / ".join(filter(None, entry.sides))
        table.add_row(entry.name, f"{entry.figure:.4g}", entry.unit, sides)
    Console().print(table)


def keep(path: Path, name: str, results: list[Result]) -> None:
    """Put the results of a benchmark into the file, in place of those it had."""
    stored = json.loads(path.read_text()) if path.is_file() else {}
    stored[name] = [asdict(entry) for entry in results]
    ordered = {known: stored[known] for known in BENCHMARKS if known in stored}
    write_atomically(path, json.dumps(ordered, indent=1) + "\n")


def main() -> None:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of interleaved timing")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.json"))
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}"
        )
    rates = gemm_rates(interleaved(gemm_sides(), arguments.rounds))
    results: list[Result] = []
    for name in arguments.names or BENCHMARKS:
        found = BENCHMARKS[name](rates, arguments.rounds)
        keep(arguments.output, name, found)
        results += found
    show(results, rates)


if __name__ == "__main__":
    main()
