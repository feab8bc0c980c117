"""A short soak; the long one is `tests/benchmarks/soak.py`."""

from __future__ import annotations

import pytest

from tests.support.soak import soak


@pytest.mark.slow
def test_hundreds_of_configurations_of_which_some_crash_hang_or_lie_leave_nothing() -> None:
    found = soak(150, seed=3)
    assert found.wrong == []
    assert len(found.counts) == 6  # of each kind there is one
    assert found.late.files <= found.early.files + 3
    assert found.late.children <= 2  # the one at work and the spare one
    assert found.late.temporary <= found.early.temporary + 2
    assert found.late.resident_mb < found.early.resident_mb + 30
