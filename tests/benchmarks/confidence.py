"""`python -m tests.benchmarks.confidence [--seeds 1] [FOLDER]`: how honest the confidence is in a search's best.

Searches the recorded spaces of znver4, and those of FOLDER as `gpu_spaces.py` has them, by three strategies, and looks
at each search after 8, 16, 32, ... measurements. Fits `raydgp.records.confidence` to half of the spaces, and prints by
what it says how often it is right on the others, for the weights that are in the package as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from raydgp import search
from raydgp.records.confidence import LEAST, WEIGHTS, WITHIN, figures
from raydgp.records.recorded import RecordedSpace, recorded_files
from raydgp.search import Outcome
from raydgp.space import ConfigSpace
from tests.benchmarks.gpu_spaces import CHOSEN_ON, Recording

_STRATEGIES = {"random": {}, "genetic": {"preset": "small"}, "lfbo": {}}
_TRIALS, _BATCH = 256, 8
_BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


def looks(
    space: ConfigSpace, outcome: Callable[[int], Outcome], top: float, strategy: str, seed: int
) -> list[tuple[NDArray[np.float64], bool]]:
    """Figures of one search after ever more measurements, and whether it had arrived."""
    loop = search.Search(search.create(strategy, space, seed, **_STRATEGIES[strategy]), _TRIALS, _BATCH)
    latencies_s, best_s, out = list[float](), list[float](), []
    while len(picks := loop.ask()):
        outcomes = [outcome(index) for index in picks.tolist()]
        for each in outcomes:
            latencies_s.append(1 / each.gflops if each.valid else np.inf)
            best_s.append(min(latencies_s))
            count = len(latencies_s)
            if count >= LEAST and count & (count - 1) == 0 and np.isfinite(best_s[-1]):
                ran = filter(np.isfinite, latencies_s)
                out.append((figures(best_s, ran, space.size), best_s[-1] * WITHIN * top <= 1))
        loop.tell(outcomes)
    return out


def recorded_here(file: Path) -> tuple[ConfigSpace, Callable[[int], Outcome], float]:
    """A space of ours, what comes of a configuration, and the best GFLOPS."""
    space = RecordedSpace.load(file)
    flops = space.space.workload.flops

    def outcome(index: int) -> Outcome:
        return Outcome.measured(space.measurement(int(space.position(np.array([index]))[0])), flops)

    return space.space, outcome, float(space.gflops.max())


def recorded_by_others(file: Path) -> tuple[ConfigSpace, Callable[[int], Outcome], float]:
    """A kernel of a GPU, as `recorded_here`."""
    kernel = Recording(file)
    return kernel.space, kernel.outcome, 1e3 / float(np.nanmin(kernel.ms))


def fit(x: NDArray[np.float64], arrived: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights of most likelihood, held towards 0: a space that was not seen differs more than its searches do."""
    signs = np.where(arrived, 1, -1)
    loss = lambda w: np.logaddexp(0, -signs * (x @ w)).sum() + 5 * w[1:] @ w[1:]  # noqa: E731
    return np.asarray(minimize(loss, np.zeros(x.shape[1])).x)


def report(name: str, said: NDArray[np.float64], arrived: NDArray[np.bool_]) -> None:
    print(f"{name}: Brier score {np.mean((said - arrived) ** 2):.3f}, {len(said)} looks, {arrived.mean():.0%} arrived")
    for low, high in pairwise(_BINS):
        inside = (said >= low) & (said < high)
        if inside.any():
            print(f"  says {said[inside].mean():4.0%}: right {arrived[inside].mean():4.0%} of {inside.sum()}")


def main(seeds: int, folder: Path | None) -> None:
    halves: tuple[list[tuple[NDArray[np.float64], bool]], ...] = ([], [])
    files = [(place % 2, recorded_here(file)) for place, file in enumerate(recorded_files([Path("znver4")]))]
    if folder:
        others = sorted(folder.glob("*.parquet"))
        files += [(int(file.stem not in CHOSEN_ON), recorded_by_others(file)) for file in others]
    for half, space in files:
        for strategy in _STRATEGIES:
            for seed in range(seeds):
                halves[half].extend(looks(*space, strategy, seed))
    (x, arrived), (rest, there) = ((np.array([f for f, _ in half]), np.array([a for _, a in half])) for half in halves)
    weights = fit(x, arrived)
    print("weights", np.round(weights, 3).tolist())
    for name, w in (("fitted", weights), ("in the package", np.array(WEIGHTS))):
        for part, rows, truth in (("chosen on", x, arrived), ("not seen", rest, there)):
            report(f"{name}, {part}", 1 / (1 + np.exp(-rows @ w)), truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    told = parser.parse_args()
    main(told.seeds, told.folder)
