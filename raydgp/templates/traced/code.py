"""What a `TracedKernel` workload says it is: a function in TVM's JSON, read back and, without a schedule, run."""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.workloads.traced import TracedKernel


def encode(module: tvm.IRModule) -> str:
    """The module as `TracedKernel.code`."""
    return base64.b64encode(zlib.compress(tvm.ir.save_json(module).encode(), 9)).decode()


def decode(workload: TracedKernel) -> tvm.IRModule:
    """The module with the function `main`, without a schedule.

    Raises:
        InputError: the code cannot be read.
    """
    try:
        module = tvm.ir.load_json(zlib.decompress(base64.b64decode(workload.code)).decode())
    except Exception as error:  # of base64, zlib and TVM, which share no narrower base
        raise InputError(f"{workload}: its code cannot be read: {type(error).__name__}") from None
    if not isinstance(module, tvm.IRModule) or "main" not in [var.name_hint for var in module.get_global_vars()]:
        raise InputError(f"{workload}: its code is no module with a function main")
    return module


def arrays(module: tvm.IRModule) -> list[tuple[tuple[int, ...], str]]:
    """Shape and type of each array that `main` takes, the output last."""
    return [(tuple(int(extent) for extent in param.shape), str(param.dtype)) for param in module["main"].params]


def shapes(workload: TracedKernel) -> tuple[tuple[int, ...], ...]:
    """Shape of each array that the function takes, the output last."""
    return tuple(shape for shape, _ in arrays(decode(workload)))


def random_arrays(workload: TracedKernel, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """Inputs: standard normal, or whole numbers 0 and 1, which index anything; positive where others give no number."""
    inputs = tuple(_random(shape, np.dtype(dtype), rng) for shape, dtype in arrays(decode(workload))[:-1])
    if np.isfinite(run_plain(workload, inputs)).all():
        return inputs
    return tuple(np.abs(array) if array.dtype.kind == "f" else array for array in inputs)


def run_plain(workload: TracedKernel, inputs: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    """The output of the function without a schedule."""
    shape, dtype = arrays(decode(workload))[-1]
    out = tvm.runtime.tensor(np.zeros(shape, dtype))
    _compiled(workload)(*(tvm.runtime.tensor(array) for array in inputs), out)
    return out.numpy()


def _random(shape: tuple[int, ...], dtype: np.dtype[Any], rng: np.random.Generator) -> NDArray[Any]:
    values = rng.standard_normal(shape, np.float32) if dtype.kind == "f" else rng.integers(0, 2, shape)
    return values.astype(dtype)


@lru_cache(maxsize=4)
def _compiled(workload: TracedKernel) -> Any:
    return tvm.compile(decode(workload), target=to_tvm(Target.here("llvm"))).mod["main"]
