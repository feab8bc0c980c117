"""What a strategy itself costs: propose and learn, in ms a configuration at batch 16, and as a ratio to random.

    OMP_NUM_THREADS=1 python tests/benchmarks/search_cost.py [--trials 192] [--repeats 3] [strategy ...]

Rounds are interleaved, the median over them is printed. Below it TED and BTED at the paper's sizes, on one core, beside
their bars and the algorithm as printed, which updates the whole of K for each pick.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from raydgp import Conv2d, config_space, search
from raydgp.search import Outcome, ted

SPACE = config_space(Conv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, stride=(1, 1), padding=(1, 1)), "cuda")


def gflops(indices: np.ndarray) -> np.ndarray:
    """A smooth stand-in for the hardware; one in eight fails."""
    x = np.log2(1 + SPACE.features(indices))
    value = 100 * np.exp(-0.05 * ((x - np.linspace(0.5, 3, x.shape[1])) ** 2).sum(axis=1))
    return np.where(indices % 8 == 0, 0.0, value)


def cost_ms(name: str, trials: int, seed: int) -> float:
    """Milliseconds a configuration that one whole search spends outside of measuring."""
    loop = search.Search(search.create(name, SPACE, seed), trials, 16)
    spent = 0.0
    while True:
        start = perf_counter()
        picks = loop.ask()
        spent += perf_counter() - start
        if not len(picks):
            return spent * 1e3 / loop.measured
        outcome = gflops(picks)
        start = perf_counter()
        loop.tell([Outcome.of(*row) for row in zip(picks.tolist(), outcome, strict=True)])
        spent += perf_counter() - start


def naive_ted(matrix: np.ndarray, m: int, mu: float) -> list[int]:
    k, picks = matrix.copy(), list[int]()
    for _ in range(m):
        score = (k**2).sum(axis=0) / (k.diagonal() + mu)
        score[picks] = -np.inf
        picks.append(int(np.argmax(score)))
        x = k[:, picks[-1]]
        k = k - np.outer(x, x) / (x[picks[-1]] + mu)
    return picks


def median_ms(call: Callable[[], object], repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return statistics.median(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=search.names())
    parser.add_argument("--trials", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    names = list(dict.fromkeys(["random", *args.strategies]))
    costs: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(args.repeats):
        for name in names:
            costs[name].append(cost_ms(name, args.trials, seed))
    base = statistics.median(costs["random"])
    print(f"{'strategy':12s} {'ms/config':>10s} {'x random':>9s}   ({args.trials} configurations, batch 16)")
    for name in names:
        cost = statistics.median(costs[name])
        print(f"{name:12s} {cost:10.3f} {cost / base:9.1f}")

    strategy: Any = search.create("random", SPACE)
    points = ted.standardised_log2(SPACE.features(strategy.draw(500)))
    matrix = ted.kernel_matrix(points, "rbf")
    whole = median_ms(lambda: ted.ted(ted.kernel_matrix(points, "rbf"), 64, 0.1))
    picking, printed = median_ms(lambda: ted.ted(matrix, 64, 0.1)), median_ms(lambda: naive_ted(matrix, 64, 0.1), 3)
    print(f"TED(500, 64) {whole:6.1f} ms (bar 20), of it picking {picking:.1f} ms; as printed {printed / picking:.0f}x")
    print(f"BTED, B = 10 {median_ms(lambda: ted.bted(SPACE, strategy.draw), 5):6.1f} ms (bar 300)")


if __name__ == "__main__":
    main()
