import pytest

from lightning_modules.cli.arguments import gather_lists


def verb(
    names: list[str] | str,
    seeds: tuple[int, ...] = (0,),
    region: tuple[float, float] | None = None,
    out: str = "",
    views: int = 1,
) -> None: ...


@pytest.mark.parametrize(
    ("typed", "gathered"),
    [
        ("--seeds 0,1,2 --views 3", "--seeds [0,1,2] --views 3"),
        ("--seeds 0 1 2", "--seeds [0,1,2]"),
        ("--seeds=0,1", "--seeds [0,1]"),
        ("--seeds 0, 1, 2", "--seeds [0,1,2]"),
        ("--seeds [0,1]", "--seeds [0,1]"),
        ("--region -1,-.5 --out x", "--region [-1,-.5] --out x"),
        ("--names a,b.jpg --views 2", '--names ["a,b.jpg"] --views 2'),
        ("--out a --views=2", "--out a --views=2"),
        ("--names -h", "--names -h"),
        ("--names+ a", "--names+ a"),
        ("--seeds --out x", "--seeds --out x"),
    ],
)
def test_words_after_a_list_option_become_one_list(typed: str, gathered: str) -> None:
    assert gather_lists(verb, typed.split()) == gathered.split()


def test_strings_may_contain_spaces_and_numbers_stay_strings() -> None:
    found = gather_lists(verb, ["--names", "a b", "3"])
    assert found == ["--names", '["a b", "3"]']
    assert gather_lists(verb, ["--names", "[a.jpg,", "b.jpg]"]) == ["--names", "[a.jpg, b.jpg]"]
