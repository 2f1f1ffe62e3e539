"""The releases whose files are kept."""

from pathlib import Path

import pytest

RELEASES = sorted(Path(__file__).parent.glob("releases/*"))


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder
