import torch

from lightning_modules.pictures.captions import MARGIN, WIDEST_NAME, labelled


def dark(picture: torch.Tensor) -> torch.Tensor:
    return (picture < 0.5).all(0)


def test_names_stand_beside_their_rows_and_above_their_columns() -> None:
    sheet = torch.full((3, 60, 80), 0.6)
    picture = labelled(sheet, ["first", "", "third"], ["left", ""])
    assert picture.shape[1] % 2 == picture.shape[2] % 2 == 0
    torch.testing.assert_close(picture[:, -60:, -80:], sheet, atol=1 / 255, rtol=0)
    beside = dark(picture[:, -60:, :-80]).view(3, 20, -1).any((1, 2))
    assert beside.tolist() == [True, False, True]
    above = dark(picture[:, :-60, -80:]).view(-1, 2, 40).any(2).any(0)
    assert above.tolist() == [True, False]


def test_without_names_nothing_is_added_and_long_ones_are_cut() -> None:
    sheet = torch.zeros(3, 40, 40)
    assert torch.equal(labelled(sheet, []), sheet)
    wide = labelled(sheet, ["a very long name of a class, " * 9, "b"], ["another long name"] * 4)
    assert wide.shape[2] <= 40 + WIDEST_NAME + 2 * MARGIN + 1
    assert dark(wide[:, :-40]).any()


def test_a_name_without_end_is_cut_before_it_is_measured() -> None:
    assert labelled(torch.zeros(3, 20, 20), ["a" * 10**7], ["b" * 10**7]).shape[2] < 300
