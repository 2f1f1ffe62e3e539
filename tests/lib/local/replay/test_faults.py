"""Shares of faults."""

import pytest

from wattcast.local.replay.faults import Faults


def test_shares_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="add up to at most 1"):
        Faults(disordered=0.5, delayed=0.4, duplicated=0.2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults(corrupted=-0.1)
