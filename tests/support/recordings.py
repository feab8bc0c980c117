"""Recorded spaces of kernels that have nothing but parameters."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.records.recorded import RecordedSpace
from raydgp.space import ConfigSpace
from raydgp.space.parametric import parameter_space
from raydgp.workloads import Parametric


def kernel(name: str, **options: Any) -> ConfigSpace:
    """A space by its parameters' options."""
    return parameter_space(Parametric(name=name, parameters=json.dumps(options)))


def recording(folder: Path, device: str, space: ConfigSpace, seconds: Any) -> Path:
    """The file of all configurations of a space as a device measured them; not a number where it failed."""
    times_s, none = np.array(seconds, float)[:, None], np.zeros(space.size)
    status = np.where(np.isfinite(times_s[:, 0]), "ok", "run_error")
    file = folder / f"{space.workload.label}-{device}.parquet"
    RecordedSpace(device, space, np.arange(space.size), status, times_s, none, none, {"name": device}, {}).save(file)
    return file
