"""An imported model run as it is and compared with its own framework, before anything of it is tuned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

Array = NDArray[Any]

TOLERANCE = 1e-3  # largest error of an output, relative to the reference's largest magnitude


def runnable(module: tvm.IRModule) -> Any:
    """A Relax module compiled for this processor in little time: unscheduled, with LLVM's cheap optimisations.

    Returns:
        A function of arrays that gives the outputs, flat.
    """
    target = tvm.target.Target({"kind": "llvm", "opt-level": 1})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())

    def run(inputs: Sequence[Array]) -> list[Array]:
        out = machine["main"](*(tvm.runtime.tensor(np.array(array, order="C")) for array in inputs))
        return list(_flat(out))

    return run


def _flat(out: Any) -> Iterable[Array]:
    if isinstance(out, tvm.runtime.Tensor):
        yield out.numpy()
    else:
        for part in out:
            yield from _flat(part)


def difference(actual: Sequence[Array], expected: Sequence[Array], usual: Sequence[Array] | None = None) -> str | None:
    """What is wrong with outputs, in words; None where they are right.

    Floats may differ by `TOLERANCE`; whole numbers and truth values, which are often indices, must be the same.

    Args:
        usual: what the model gives for usual inputs. Errors are relative to it where it is larger: zeros make a norm
            give nothing but rounding errors.
    """
    if len(actual) != len(expected):
        return f"{len(actual)} outputs instead of {len(expected)}"
    for place, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        said = f"output {place} is wrong: " if len(expected) > 1 else ""
        if ours.shape != theirs.shape:
            return f"{said}shape {list(ours.shape)} instead of {list(theirs.shape)}"
        if ours.dtype != theirs.dtype:
            return f"{said}{ours.dtype} instead of {theirs.dtype}"
        if theirs.dtype.kind != "f":
            if different := int((ours != theirs).sum()):
                return f"{said}{different} of {theirs.size} values differ"
        elif (error := relative_error(ours, theirs, usual[place] if usual else None)) > TOLERANCE:
            return f"{said}relative error {error:.2g}"
    return None


def relative_error(actual: Array, expected: Array, usual: Array | None = None) -> float:
    """Largest error relative to the largest finite magnitude; infinity where one is not finite and the other is."""
    if not expected.size:
        return 0.0
    finite = np.isfinite(expected)
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True) or not np.isfinite(actual[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    ours, theirs = actual[finite].astype(np.float64), expected[finite].astype(np.float64)
    return float(np.abs(ours - theirs).max() / max(_magnitude(theirs), 0 if usual is None else _magnitude(usual), 1e-6))


def _magnitude(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0
