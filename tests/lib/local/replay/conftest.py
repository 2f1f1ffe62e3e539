"""The file that the tests of the replay share."""

from pathlib import Path

import pytest
from tests.lib.local.replay.recorded import frame


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frame().to_parquet(tmp_path / "readings.parquet")
    return tmp_path / "readings.parquet"
