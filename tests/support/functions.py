"""Transcendental functions: what they are compared with, where, and how far off they may be."""

import numpy as np
import scipy.special

RNG = np.random.default_rng(0)
EDGES = [0, 1, 0.5, 1.5, 2, 2.5, 0.49999997, 1e-45, 2**-126, 88.7, 88.73, 87.4, 103.9, 104, 3.4e38, np.inf, np.nan]
SIGNED_EDGES = np.array([*EDGES, *np.negative(EDGES)], np.float32)
DENSE = np.concatenate(
    [
        SIGNED_EDGES,
        RNG.integers(0, 2**32, 40_000, dtype=np.uint32).view(np.float32),  # every exponent, NaN among them
        RNG.uniform(-110, 100, 20_000).astype(np.float32),
        RNG.uniform(-3, 3, 20_000).astype(np.float32),
        RNG.uniform(0.99, 1.01, 10_000).astype(np.float32),
    ]
)
ONE = {  # intrinsic -> NumPy's function, units in the last place
    "exp": (np.exp, 2),
    "exp2": (np.exp2, 2),
    "exp10": (lambda x: 10.0**x, 2),
    "sigmoid": (scipy.special.expit, 4),
    "tanh": (np.tanh, 3),
    "sinh": (np.sinh, 8),
    "cosh": (np.cosh, 8),
    "erf": (scipy.special.erf, 8),
    "log": (np.log, 2),
    "log2": (np.log2, 3),
    "log10": (np.log10, 3),
    "log1p": (np.log1p, 4),
    "asinh": (np.arcsinh, 6),
    "acosh": (np.arccosh, 6),
    "atanh": (np.arctanh, 6),
    "sin": (np.sin, 2),
    "cos": (np.cos, 2),
    "tan": (np.tan, 4),
    "asin": (np.arcsin, 4),
    "acos": (np.arccos, 4),
    "atan": (np.arctan, 4),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 2),
}


def last_places(actual: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The error in float32's units in the last place, 0 where both are no number and infinite where one is."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
        unit = np.spacing(np.where(np.isfinite(rounded), np.abs(rounded), np.float32(2.0**127)))
        error = np.abs(actual.astype(np.float64) - wanted) / unit
    same = (np.isnan(actual) & np.isnan(wanted)) | (actual == rounded)
    return np.where(same, 0, np.where(np.isnan(error), np.inf, error))
