"""Progress bars with the loss beside them."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lightning_modules.inference.inversion.search import Report


@contextmanager
def loss_bars(title: str) -> Iterator[Report]:
    """What to report progress to: a bar for each thing that is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}"),
    )
    with Progress(*columns) as progress:
        tasks = {}

        def report(what: str, done: int, total: int, loss: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(f"{title}: {what}", total=total, loss=loss)
            progress.update(tasks[what], completed=done, loss=loss)

        yield report
