"""How far outputs are from what they must be. Loads no TVM: what a model is compared with runs without it, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-3  # largest error of an output, relative to the reference's largest magnitude
QUANTISED = 2e-2  # of a model that rounds to 256 steps within: the least difference may make a step of it
# Of a magnitude, so that four roundings of a number around 1, from which a probability near 0 came, are no error of it.
_LEAST = 4 * float(np.finfo(np.float32).eps) / TOLERANCE


def difference(
    actual: Sequence[Array],
    expected: Sequence[Array],
    usual: Sequence[Array] | None = None,
    tolerance: float = TOLERANCE,
) -> str | None:
    """What is wrong with outputs, in words; None where they are right.

    Floats may differ by the tolerance; whole numbers and truth values, which are often indices, must be the same.

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
        error = relative_error(ours, theirs, usual[place] if usual else None)
        if error > tolerance and theirs.dtype.kind in "fc":
            return f"{said}relative error {error:.2g}"
        if error > tolerance:
            return f"{said}{int((ours != theirs).sum())} of {theirs.size} values differ"
    return None


def largest_error(actual: Sequence[Array], expected: Sequence[Array]) -> float:
    """Of all outputs, each by `relative_error`; infinity where they differ in number or shape."""
    if [array.shape for array in actual] != [array.shape for array in expected]:
        return float("inf")
    return max((relative_error(ours, theirs) for ours, theirs in zip(actual, expected, strict=True)), default=0.0)


def relative_error(actual: Array, expected: Array, usual: Array | None = None) -> float:
    """Largest error of an output of the right shape.

    Of floats it is relative to the largest finite magnitude, and infinity where one is not finite and the other is. Of
    whole numbers and truth values it is the largest difference, which is 1 at least where there is one.
    """
    if not expected.size:
        return 0.0
    if expected.dtype.kind not in "fc":
        return float(np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max())
    finite = np.isfinite(expected)
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True) or not np.isfinite(actual[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    ours, theirs = actual[finite].astype(wide), expected[finite].astype(wide)
    return float(
        np.abs(ours - theirs).max() / max(_magnitude(theirs), 0 if usual is None else _magnitude(usual), _LEAST)
    )


def _magnitude(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0
