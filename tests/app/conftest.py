"""Small spaces whose speed is a formula, measured as a machine would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raydgp import Conv2d, config_space
from raydgp.app.history.recording import record
from raydgp.measure import Measurer
from raydgp.records import Measurement, Phases, Status
from raydgp.records.recorded import RecordedSpace
from raydgp.space import ConfigSpace, Indices
from raydgp.space.thinning import thinned
from raydgp.targets import Target


def space_of(channels: int, valid: int = 150) -> ConfigSpace:
    layer = Conv2d(n=1, ci=channels, h=8, w=8, co=channels, kh=3, kw=3, padding=(1, 1))
    return thinned(config_space(layer, "llvm"), valid)


def latency_s(space: ConfigSpace, indices: Indices) -> NDArray[np.float64]:
    """Best in the middle of every knob's options."""
    digits = space.digits(indices)
    return 1e-4 * (1 + ((digits - space.radix / 2) ** 2).sum(axis=1))


class Formula(Measurer):
    """Counts what it measures; every repeat differs a little, and each `broken`-th configuration crashes."""

    def __init__(self, broken: int = 10**9, stop_after: int = 10**9) -> None:
        self.broken, self.stop_after = broken, stop_after
        self.measured: list[int] = []

    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        if len(self.measured) >= self.stop_after:
            raise KeyboardInterrupt
        return [self._one(int(i), float(s)) for i, s in zip(indices, latency_s(space, indices), strict=True)]

    def _one(self, index: int, seconds: float) -> Measurement:
        self.measured.append(index)
        broken = index % self.broken == self.broken - 1
        return Measurement(
            index=index,
            status=Status.RUN_ERROR if broken else Status.OK,
            times_s=() if broken else (seconds, seconds * 1.01, seconds * 1.02),
            phases=Phases(build_s=0.1, run_s=0.05),
            device={"name": "formula"},
            versions={"tvm": "0"},
        )


def recorded_files(folder: Path, channels: Sequence[int]) -> list[Path]:
    paths = []
    for count in channels:
        paths.append(folder / f"net-conv{count}.parquet")
        record(f"net/conv{count}", space_of(count), Target.named("llvm"), Formula(), paths[-1], lambda *_: None)
    return paths


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Recorded spaces of three layers of one group, and the parts to make more."""
    paths = recorded_files(tmp_path_factory.mktemp("recorded"), [16, 32, 64])
    parts: dict[str, Any] = {"space_of": space_of, "latency_s": latency_s, "Formula": Formula}
    return SimpleNamespace(paths=paths, spaces=[RecordedSpace.load(path) for path in paths], **parts)
