"""Multi-view discrimination (arXiv 2402.00225, section 3.3): when several views of a scene are
judged instead of one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MultiView:
    """Views a scene, and from when on.

    views: of every scene, far apart by construction but where their distribution is learned; each
    is scored separately. from_images: images seen from which all are judged, 0 for always, null for
    never by count; on_collapse: whether they are from when the collapse indicator says so. Until
    then one view is.

    Raises ValueError for less than one view.
    """

    views: int = 3
    from_images: int | None = None
    on_collapse: bool = False

    def __post_init__(self) -> None:
        """Check the number."""
        if self.views < 1:
            raise ValueError(f"multi_view.views is {self.views}, it must be at least 1.")

    def views_at(self, images_seen: int, collapsed_at: int | None) -> int:
        """Views a scene now; collapsed_at: images seen when the indicator fell, if it did."""
        counted = self.from_images is not None and images_seen >= self.from_images
        fell = self.on_collapse and collapsed_at is not None
        return self.views if counted or fell else 1
