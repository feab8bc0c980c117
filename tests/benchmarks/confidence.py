"""`python tests/benchmarks/confidence.py [SEEDS]`: how honest the confidence is that a search has found the best.

Searches the recorded spaces of znver4 by five strategies, and looks at each search after 8, 16, 32, ... measurements.
Fits `raydgp.records.confidence` to every second space, and prints by what it says how often it is right on the others,
for the weights that are in the package as well.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from raydgp import search
from raydgp.measure.replay import ReplayMeasurer
from raydgp.measure.simulated import simulate
from raydgp.records.confidence import LEAST, WEIGHTS, WITHIN, figures
from raydgp.records.recorded import RecordedSpace, recorded_files

_STRATEGIES = {"random": {}, "genetic": {"preset": "small"}, "autotvm": {"preset": "small"}, "lfbo": {}, "bted": {}}
_TRIALS, _BATCH = 256, 8
_BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


def looks(recorded: RecordedSpace, strategy: str, seed: int) -> list[tuple[NDArray[np.float64], bool]]:
    """Figures of one search after ever more measurements, and whether it had arrived."""
    made = search.create(strategy, recorded.space, seed, **_STRATEGIES[strategy])
    loop = search.Search(made, _TRIALS, _BATCH)
    latencies_s, best_s, top_s, out = list[float](), list[float](), float(recorded.median_s.min()), []
    for part in simulate(loop, ReplayMeasurer(recorded), 1):
        measured = part.measurement
        latencies_s.append(measured.median_s if measured.ok else np.inf)
        best_s.append(min(latencies_s))
        count = len(latencies_s)
        if count >= LEAST and count & (count - 1) == 0 and np.isfinite(best_s[-1]):
            out.append((figures(best_s, filter(np.isfinite, latencies_s)), best_s[-1] * WITHIN <= top_s))
    return out


def fit(x: NDArray[np.float64], arrived: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights of most likelihood, lightly held at 0."""
    signs = np.where(arrived, 1, -1)
    loss = lambda w: np.logaddexp(0, -signs * (x @ w)).sum() + 0.5 * w[1:] @ w[1:]  # noqa: E731
    return np.asarray(minimize(loss, np.zeros(x.shape[1])).x)


def report(name: str, said: NDArray[np.float64], arrived: NDArray[np.bool_]) -> None:
    print(f"{name}: Brier score {np.mean((said - arrived) ** 2):.3f}, {len(said)} looks, {arrived.mean():.0%} arrived")
    for low, high in pairwise(_BINS):
        inside = (said >= low) & (said < high)
        if inside.any():
            print(f"  says {said[inside].mean():4.0%}: right {arrived[inside].mean():4.0%} of {inside.sum()}")


def main(seeds: int) -> None:
    halves: tuple[list[tuple[NDArray[np.float64], bool]], ...] = ([], [])
    for place, file in enumerate(recorded_files([Path("znver4")])):
        recorded = RecordedSpace.load(file)
        for strategy in _STRATEGIES:
            for seed in range(seeds):
                halves[place % 2].extend(looks(recorded, strategy, seed))
    (x, arrived), (others, there) = (
        (np.array([f for f, _ in half]), np.array([a for _, a in half])) for half in halves
    )
    weights = fit(x, arrived)
    print("weights", np.round(weights, 3).tolist())
    for name, w in (("fitted", weights), ("in the package", np.array(WEIGHTS))):
        for part, rows, truth in (("chosen on", x, arrived), ("not seen", others, there)):
            report(f"{name}, {part}", 1 / (1 + np.exp(-rows @ w)), truth)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
