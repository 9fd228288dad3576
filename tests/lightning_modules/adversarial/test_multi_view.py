import pytest

from lightning_modules.adversarial.multi_view import MultiView


@pytest.mark.parametrize(
    ("settings", "images_seen", "collapsed_at", "views"),
    [
        (MultiView(3), 10**9, 5, 1),
        (MultiView(3, from_images=100), 99, None, 1),
        (MultiView(3, from_images=100), 100, None, 3),
        (MultiView(4, from_images=0), 0, None, 4),
        (MultiView(3, on_collapse=True), 10**9, None, 1),
        (MultiView(3, on_collapse=True), 50, 50, 3),
        (MultiView(3, from_images=100, on_collapse=True), 60, 50, 3),
    ],
)
def test_views_are_many_from_when_it_says(
    settings: MultiView, images_seen: int, collapsed_at: int | None, views: int
) -> None:
    assert settings.views_at(images_seen, collapsed_at) == views


def test_no_view_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MultiView(0)
