"""The commands for models name a missing file in one line."""

from pathlib import Path

import pytest
from tests.commands import Wattcast

from wattcast_models.artifact.folder import shipped_artifact


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("train", ["--data", "x.csv", "--options", "none.yaml"], "wattcast train: none.yaml: No such file or directory."),
        ("tune", ["--data", "x.csv", "--space", "none.yaml"], "wattcast tune: none.yaml: No such file or directory."),
        ("train", ["--data", "x.csv", "--buildings-file", "none.csv"], "wattcast train: none.csv"),
        ("models", ["promote", "shipped", "--data", "x.csv"], "`wattcast models register {shipped}` first"),
    ],
    ids=lambda options: " ".join(options) if isinstance(options, list) else "",
)  # fmt: skip
def test_missing_file_is_one_line(
    command: str, options: list[str], message: str,
    wattcast: Wattcast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("timestamp,building_id,energy_usage_kwh\n2026-01-01T00:00:00Z,a,1\n")
    result = wattcast(command, *options)
    assert result.status == 2
    assert message.format(shipped=shipped_artifact()) in result.line
    assert "Errno" not in result.line
