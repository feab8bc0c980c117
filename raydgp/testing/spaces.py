"""Spaces that strategies are tried on, and a stand-in for the hardware."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from raydgp.space import ConfigSpace, Indices, choice
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, TracedKernel

_LAYER = Conv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, padding=(1, 1))
_TILE = {"name": "tile", "tile": 64, "parts": 3, "widest": 16}
_SKETCHES = [
    {"trace": [[], [[0, [4, 1, 16]], [1, 0]]], "knobs": [_TILE, {"name": "unroll", "choice": [0, 16, 64]}]},
    {"trace": [[], [[0, [4, 1, 16]], [1, -1]]], "knobs": [_TILE, {"name": "place", "place": [-2, -1, 3]}]},
]
_TRACED = TracedKernel(name="pool", code="", sketches=json.dumps(_SKETCHES), operations=10**6)

LARGE = config_space(_LAYER, "cuda")  # of a layer of ResNet-18
MEDIUM = config_space(DepthwiseConv2d(n=1, ci=8, h=8, w=8, kh=3, kw=3), "cuda")
TINY = config_space(Dense(n=1, k=64, m=64), "cuda")
TRACED = config_space(_TRACED, "llvm")
ONE = ConfigSpace(_LAYER, "cuda", "one", [choice("a", [3])], {"a": 3})
NONE_VALID = ConfigSpace(
    _LAYER,
    "cuda",
    "none",
    [choice("a", range(7)), choice("b", range(9))],
    {"a": 0, "b": 0},
    check=lambda columns: np.zeros(len(columns["a"]), bool),
)


def smooth(space: ConfigSpace, indices: Indices) -> NDArray[np.float64]:
    """GFLOPS with one broad peak in the logarithm of the features: int64[n] -> float64[n]."""
    x = np.log2(1 + space.features(indices))
    peak = np.linspace(0.5, 3, x.shape[1])
    return np.asarray(100 * np.exp(-0.08 * ((x - peak) ** 2).sum(axis=1)))


def half_fail(space: ConfigSpace, indices: Indices) -> NDArray[np.float64]:
    """As `smooth`, where every even configuration fails."""
    return np.where(indices % 2, smooth(space, indices), 0.0)
