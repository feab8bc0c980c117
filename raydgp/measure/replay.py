"""Measures by looking up what was recorded: read-only, exact, and charged with the time it took."""

from __future__ import annotations

from raydgp.errors import InputError
from raydgp.measure.base import Measurer
from raydgp.records import Measurement
from raydgp.records.measurement import Status
from raydgp.records.recorded import RecordedSpace
from raydgp.space import ConfigSpace, Indices


class ReplayMeasurer(Measurer):
    """Answers from a recorded space.

    Attributes:
        charged_s: what building and running all that was asked for had taken when it was recorded, one at a time.
    """

    def __init__(self, recorded: RecordedSpace) -> None:
        self._recorded = recorded
        self.charged_s = 0.0

    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        if space.hash != self._recorded.space.hash:
            raise InputError(
                f"{self._recorded.name} was recorded in space {self._recorded.space.hash}, not {space.hash}; "
                "search in the recorded space"
            )
        out = [
            self._recorded.measurement(int(self._recorded.position(indices[i : i + 1])[0]))
            if good
            else Measurement(
                index=int(indices[i]), status=Status.INVALID, error=f"statically invalid on {space.target}"
            )
            for i, good in enumerate(space.valid(indices))
        ]
        self.charged_s += sum(measured.phases.build_s + measured.phases.run_s for measured in out)
        return out
