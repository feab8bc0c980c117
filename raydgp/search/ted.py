"""Transductive experimental design: picks configurations that represent a pool (BTED + BAO, Algorithms 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from raydgp.space import ConfigSpace, Indices

Kernel = Literal["rbf", "distance"]


def standardised_log2(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features as the kernel sees them: log2(1 + x), columns of mean 0 and deviation 1: float32[n, d] -> float64[n, d].

    Constant columns become 0.
    """
    logs = np.log2(1.0 + features.astype(np.float64))
    deviation = logs.std(axis=0)
    return (logs - logs.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def kernel_matrix(points: NDArray[np.float64], kernel: Kernel) -> NDArray[np.float64]:
    """K of Algorithm 1: float64[n, d] -> float64[n, n].

    `distance` is the paper's wording, the Euclidean distances themselves. They are no kernel: without the exclusion of
    picks, one point would be picked again and again. `rbf` is exp(-distance^2 / (2 median^2)), with the median of the
    positive distances, and covers a pool better than random picks do (docs/facts.md, BTED + BAO).
    """
    distances = squareform(pdist(points))
    if kernel == "distance":
        return distances
    positive = distances[distances > 0]
    bandwidth = np.median(positive) if len(positive) else 1.0
    return np.exp(-0.5 * (distances / bandwidth) ** 2)


def ted(matrix: NDArray[np.float64], m: int, mu: float) -> NDArray[np.int64]:
    """Algorithm 1: rows of the m picks, in the order of picking: float64[n, n] -> int64[min(m, n)].

    Each pick is argmax |K_v|^2 / (k(v, v) + mu) over the rows not yet picked, then K <- K - K_x K_x^T / (k(x, x) + mu).
    Squared norms are updated with K instead of summed anew, and K is kept as the start minus one outer product for
    each pick, of which a pick needs a single column: m matrix-vector products in all.
    """
    n = len(matrix)
    m = min(m, n)
    norms = np.einsum("ij,ij->i", matrix, matrix)
    diagonal = matrix.diagonal().copy()
    columns = np.zeros((m, n))  # row i is K_x at pick i
    weights = np.zeros(m)  # 1 / (k(x, x) + mu) there; negative ones do occur with `distance`
    picks = np.zeros(m, np.int64)
    free = np.ones(n, bool)
    for i in range(m):
        pick = int(np.argmax(np.where(free, norms / (diagonal + mu), -np.inf)))
        picks[i], free[pick] = pick, False
        past, weight = columns[:i], weights[:i]
        column = matrix[pick] - (weight * past[:, pick]) @ past
        product = matrix @ column - (weight * (past @ column)) @ past
        a = column / (column[pick] + mu)
        # |K_v - a_v K_x|^2 = |K_v|^2 - 2 a_v (K K_x)_v + a_v^2 |K_x|^2
        norms += a * (a * (column @ column) - 2 * product)
        diagonal -= a * column
        columns[i], weights[i] = column, 1 / (column[pick] + mu)
    return picks


def bted(
    space: ConfigSpace,
    draw: Callable[[int], Indices],
    *,
    picks: int = 64,
    pool: int = 500,
    batches: int = 10,
    mu: float = 0.1,
    kernel: Kernel = "rbf",
) -> Indices:
    """Algorithm 2: TED on random pools, then TED on the union of what it picked there: int64[<= picks].

    Args:
        draw: n -> int64[<= n], random distinct configurations, e.g. `BookkeepingStrategy.draw`.
        picks: the paper's m.
        pool: its M, configurations of a random pool.
        batches: its B, number of random pools.
        mu: its normalisation.
        kernel: see `kernel_matrix`.
    """

    def chosen(indices: Indices) -> Indices:
        if not len(indices):
            return indices
        points = standardised_log2(space.features(indices))
        return indices[ted(kernel_matrix(points, kernel), picks, mu)]

    return chosen(np.unique(np.concatenate([chosen(draw(pool)) for _ in range(batches)])))
