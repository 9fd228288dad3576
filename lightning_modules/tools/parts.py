"""Work on several things of which some fail: the others are done, and the failures told at last."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from datamodules.errors import DataError


@dataclass
class Failures:
    """Why some of the things that a verb makes were not made."""

    total: int
    reasons: list[str] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep a DataError of the block, which is about one of the things."""
        try:
            yield
        except DataError as error:
            self.reasons.append(str(error).rstrip("."))

    def tell(self) -> None:
        """DataError with every reason, if there is one."""
        if self.reasons:
            count = f"{len(self.reasons)} of {self.total} failed: " if self.total > 1 else ""
            raise DataError(f"{count}{'; '.join(self.reasons)}.")
