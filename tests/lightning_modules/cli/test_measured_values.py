from pathlib import Path

import pytest

from lightning_modules.cli.main import main


@pytest.mark.parametrize(
    "value", ["[" * 5000, '{"a": ' * 5000, "{a: &a [1], b: [*a" + ", *a" * 200_000]
)
def test_values_on_the_command_line_are_measured_too(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--model", value, "--run", "x"]) == 2
    assert capsys.readouterr().err.startswith("wild3d fit: --model ")


def test_a_verb_takes_options_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "options.yaml").write_text("files: [one.png, two.png]\n")
    assert main(["origin", "--config", str(tmp_path / "options.yaml")]) == 2
    assert "There is no file one.png" in capsys.readouterr().err
