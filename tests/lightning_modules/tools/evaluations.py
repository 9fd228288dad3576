"""Evaluations of tiny checkpoints, and what they write."""

import json
from pathlib import Path
from typing import Any

from tiny_checkpoints import run

from lightning_modules.tools.evaluate import evaluate


def evaluated(checkpoint: str, out: Path, **options: Any) -> dict[str, Any]:
    run(evaluate, checkpoint, out=str(out), **options)
    return read(out)


def read(out: Path) -> dict[str, Any]:
    """The first result, its figures as means, with all of the protocol."""
    content = json.loads(out.read_text())
    found = content["results"][0]
    means = {label: figure["mean"] for label, figure in found["figures"].items()}
    return found | {"figures": means, "protocol": content["protocol"] | found["protocol"]}
