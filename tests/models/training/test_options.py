from pathlib import Path

import pytest

from wattcast.settings import project_folder
from wattcast_models.training.options import TrainingOptions, parse_assignments, read_options


def test_the_options_in_conf_are_read_and_the_command_line_changes_them() -> None:
    recipe = project_folder("conf") / "training.yaml"
    usual = read_options(recipe, {})
    changed = read_options(
        recipe, parse_assignments(["hidden=64", "members=[lstm]", "learning_rate=1e-3", "quantiles=[0.05,0.1,0.5,0.9]"])
    )
    assert (changed.hidden, changed.members, changed.learning_rate) == (64, ("lstm",), 0.001)
    assert changed.quantiles == (0.05, 0.1, 0.5, 0.9)
    assert changed.steps == usual.steps
    assert changed.network == {"kind": "lstm", "hidden": 64, "summary": usual.summary, "dropout": usual.dropout}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("hiden=64", "hiden"),
        ("hidden=many", "hidden"),
        ("hidden=0", "hidden"),
        ("dropout=1.5", "dropout"),
        ("dropout=-0.1", "dropout"),
        ("learning_rate=.nan", "learning_rate"),
        ("learning_rate=0", "learning_rate"),
        ("members=[oracle]", "not oracle"),
        ("members=[]", "not none"),
        ("quantiles=[0.9, 0.5, 0.1]", "ascend"),
        ("quantiles=[0.5]", "ascend"),
        ("context_hours=700", "context_hours"),
        ("lead_hours=169", "lead_hours"),
        ("steps", "KEY=VALUE"),
        ("steps=[", "not valid YAML"),
    ],
)
def test_a_wrong_option_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_options(project_folder("conf") / "training.yaml", parse_assignments([assignment]))


@pytest.mark.parametrize("content", ["- 1\n", "steps: [\n"])
def test_a_file_without_options_is_a_value_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"own\.yaml"):
        read_options(file, {})
    with pytest.raises(FileNotFoundError):
        read_options(tmp_path / "none.yaml", {})


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        TrainingOptions(steps=0)
