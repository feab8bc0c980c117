"""Injects faults, for tests and soaks: what a strategy, a journal and a report must live with."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from raydgp.measure.base import Measurer
from raydgp.records import Measurement, Status
from raydgp.space import ConfigSpace, Indices


@dataclass(frozen=True, kw_only=True)
class FaultRates:
    """Shares of the configurations that fail in each way; their sum is at most 1."""

    crash: float = 0.0
    hang: float = 0.0
    wrong: float = 0.0
    nan: float = 0.0


class FaultyMeasurer(Measurer):
    """Another measurer, of whose configurations some fail instead of being measured.

    Which ones depends on the seed and the index alone, not on order or batch. A NaN is reported as a buggy measurer
    would, with status ok: `Measurement.ok` must catch it.
    """

    def __init__(self, inner: Measurer, rates: FaultRates, seed: int) -> None:
        self._inner, self._seed = inner, seed
        self._edges = np.cumsum([rates.crash, rates.hang, rates.wrong, rates.nan])

    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        valid = space.valid(indices)
        faults = [self._fault(int(index)) if good else None for index, good in zip(indices, valid, strict=True)]
        rest = np.array([index for index, fault in zip(indices, faults, strict=True) if not fault], np.int64)
        sound = iter(self._inner.measure(space, rest))
        return [fault or next(sound) for fault in faults]

    def close(self) -> None:
        self._inner.close()

    def _fault(self, index: int) -> Measurement | None:
        kind = int(np.searchsorted(self._edges, np.random.default_rng([self._seed, index]).random(), side="right"))
        if kind == len(self._edges):
            return None
        status, error, times_s = [
            (Status.RUN_ERROR, "injected: killed by SIGSEGV", ()),
            (Status.RUN_TIMEOUT, "injected: no answer in time, killed", ()),
            (Status.WRONG_ANSWER, "injected: relative error 1 is above the tolerance", ()),
            (Status.OK, "", (math.nan, 1e-9, -1.0)),
        ][kind]
        return Measurement(index=index, status=status, error=error, times_s=times_s, time_unix_s=time.time())
