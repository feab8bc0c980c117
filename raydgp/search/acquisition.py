"""What to measure next under a posterior: batches of largest expected improvement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from raydgp.surrogates.residual import Points, ResidualGP, Vector


def expected_improvement(mean: Vector, variance: Vector, best: float) -> Vector:
    """E[max(f - best, 0)] of normal f: [k]."""
    deviation = np.sqrt(variance)
    gain = (mean - best) / deviation
    return deviation * (gain * norm.cdf(gain) + norm.pdf(gain))


def batch(
    model: ResidualGP, points: Points, runs: Vector, best: float | None, n: int
) -> tuple[NDArray[np.int64], float]:
    """Rows of n candidates, and the expected improvement of the first.

    Each pick after the first supposes that those before came out as predicted: the mean stays and the variance
    shrinks around them, so that a batch does not measure the same thing n times.

    Args:
        points: k candidates.
        runs: [k], probability that a candidate runs.
        best: measured so far, in units of y; None while nothing has run, and then it is the best prediction.
    """
    mean, explained = model.posterior(points)
    variance = model.variance(points, explained)
    best = float(mean.max()) if best is None else best
    picks: list[int] = []
    first = 0.0
    free = np.ones(len(mean), bool)
    for _ in range(min(n, len(mean))):
        gains = np.where(free, runs * expected_improvement(mean, variance, best), -1.0)
        pick = int(gains.argmax())
        first = first if picks else float(gains[pick])
        picks.append(pick)
        free[pick] = False
        row = model.covariance(points, explained, pick) / np.sqrt(variance[pick] + 1e-6)
        explained = np.concatenate([explained, row[None]])
        variance = np.maximum(variance - row**2, 1e-10)
    return np.array(picks, np.int64), first
