"""An address that other machines reach needs API keys."""

from pathlib import Path

import pytest
from tests.lib.serving.conftest import settings_of

from wattcast.serving.server import UnprotectedAddress, needs_keys


def test_open_address_without_keys_must_be_allowed(state: Path) -> None:
    def needed(**serving: object) -> bool:
        return needs_keys(settings_of(state, **serving).serving)

    assert [needed(), needed(host="::1"), needed(host="0.0.0.0"), needed(auth="on")] == [False, False, True, True]
    with pytest.raises(UnprotectedAddress, match=r"everyone who can reach 0\.0\.0\.0"):
        needed(host="0.0.0.0", auth="off")
    assert not needed(host="0.0.0.0", auth="off", allow_open=True)
