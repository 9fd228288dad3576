import json
from pathlib import Path

import pytest
from tiny_gan_run import GANRuns

from lightning_modules.cli.nulls import nulls_as_overlays


@pytest.mark.parametrize("null", [["--model.score.features", "null"], ["--model.score.features=~"]])
def test_null_of_a_class_within_a_class_becomes_an_overlay_in_its_place(null: list[str]) -> None:
    given = ["fit", "--config", "a.yaml", *null, "--data.root=x", "--model.seed", "3"]
    *before, option, overlay, root, seed, number = nulls_as_overlays(given)
    assert before == given[:3]
    assert option == "--config"
    assert json.loads(overlay) == {"model": {"score": {"features": None}}}
    assert [root, seed, number] == given[-3:]


def test_an_option_without_a_value_does_not_hide_the_null_after_it() -> None:
    changed = nulls_as_overlays(["--model.help", "--data.root", "null"])
    assert changed == ["--model.help", "--config", '{"data": {"root": null}}']


@pytest.mark.parametrize(
    "given",
    [
        ["fit", "--trainer.logger", "null", "--run", "null"],
        ["--model.name", "nullable", "--model.sign", "-1", "--data.root="],
        ["--model.seed"],
        ["--data.root", "", "--model.name", "x"],
        [],
    ],
)
def test_everything_else_stays(given: list[str]) -> None:
    assert nulls_as_overlays(given) == given


def test_options_of_a_run_may_be_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = ["--model.score.features", "null", "--model.shown.augment.target=null"]
    off += ["--model.model.box.background", "null", "--model.score.images", "12"]
    with pytest.raises(SystemExit) as ended:
        GANRuns.write(tmp_path, tmp_path).fit(tmp_path / "run", *off, "--print_config")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for line in ("features: null", "target: null", "background: null", "images: 12", "half: 0.5"):
        assert f"  {line}\n" in printed
    assert "- cutout" in printed
