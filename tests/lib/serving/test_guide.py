"""A live server answers every curl command of the guide."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.lib.serving.conftest import forecaster, served, settings_of
from tests.lib.serving.lake import write_lake

GUIDE = Path(__file__).parents[3] / "docs" / "guide-api.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("curl ")]
TIMED_OUT = 28  # of curl: the end of a stream that has none


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    state = tmp_path_factory.mktemp("town")
    write_lake(state / "lake", names=["school", "town-hall"], days=8)
    with served(settings_of(state), forecaster()) as client:
        yield client


def test_guide_shows_every_route(town: httpx.Client) -> None:
    paths = town.get("/openapi.json").json()["paths"]
    for path in paths:
        pattern = re.compile(re.escape(path).replace(r"\{building_id\}", "town-hall") + r"(?=[?\"\s]|$)", re.MULTILINE)
        assert any(pattern.search(line) for line in LINES), path


@pytest.mark.parametrize("line", LINES)
def test_line_is_answered(line: str, town: httpx.Client, tmp_path: Path) -> None:
    words = shlex.split(line.replace("localhost:8080", str(town.base_url).rstrip("/")))
    finished = subprocess.run([*words, "--fail"], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert finished.returncode == (TIMED_OUT if "/v1/events" in line else 0), finished.stderr
    assert len(finished.stdout) > 10 or (tmp_path / "forecasts.arrow").stat().st_size > 1000
