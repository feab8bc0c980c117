"""Measurements until within 1 % of the best on other people's recorded kernels, and dgp+ over the best of the others.

    python tests/benchmarks/gpu_spaces.py [--seeds 5] [--trials 240] [--spaces NAME,...] FOLDER [strategy ...]

FOLDER holds Parquet files: a row for each configuration that the kernel's restrictions allow, a column for each knob of
whole numbers, `ms` (missing: it did not run), and perhaps `ms_1`, ... of single timings. Medians over seeds, batches of
8, presets `small`; a search that does not get there counts as twice the trials.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from raydgp import Dense, search
from raydgp.search import Outcome
from raydgp.space import Columns, ConfigSpace, choice

_NEAR = 0.99  # of the best


class Recording:
    """A recorded kernel: its space and the milliseconds of each configuration."""

    def __init__(self, path: Path) -> None:
        rows = pd.read_parquet(path)
        names = [name for name in rows.columns if not name.startswith("ms")]
        options = {name: sorted(int(v) for v in rows[name].unique()) for name in names}
        digits = np.stack([np.searchsorted(options[name], rows[name]) for name in names], axis=1)
        place = np.cumprod([1, *(len(options[name]) for name in names[:-1])])
        order = np.argsort(digits @ place)
        self.indices = (digits @ place)[order]
        self.ms = rows["ms"].to_numpy(float)[order]
        self.repeats = rows[[name for name in rows.columns if name.startswith("ms_")]].to_numpy(float)[order]

        def allowed(columns: Columns) -> np.ndarray:
            asked = np.stack([np.searchsorted(options[name], columns[name][:, 0]) for name in names], axis=1) @ place
            at = np.minimum(np.searchsorted(self.indices, asked), len(self.indices) - 1)
            return self.indices[at] == asked

        first = rows.iloc[int(order[np.flatnonzero(np.isfinite(self.ms))[0]])]
        default = {name: int(first[name]) for name in names}
        knobs = [choice(name, options[name]) for name in names]
        self.space = ConfigSpace(Dense(n=1, k=8, m=8), "cuda", path.stem, knobs, default, allowed)

    def outcome(self, index: int) -> Outcome:
        """A rate in place of GFLOPS, which nobody recorded."""
        at = int(np.searchsorted(self.indices, index))
        return Outcome.of(index, 1e3 / self.ms[at], np.isfinite(self.ms[at]), tuple(1e3 / self.repeats[at]))

    def needed(self, name: str, seed: int, trials: int) -> int:
        """Measurements until within 1 % of the best, twice the trials for a search that does not get there."""
        loop = search.Search(search.create(name, self.space, seed, preset="small"), trials, 8)
        enough, asked = _NEAR * 1e3 / np.nanmin(self.ms), 0
        while len(picks := loop.ask()):
            outcomes = [self.outcome(index) for index in picks.tolist()]
            reached = [outcome.gflops >= enough for outcome in outcomes]
            if any(reached):
                return asked + reached.index(True) + 1
            asked += len(picks)
            loop.tell(outcomes)
        return 2 * trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("strategies", nargs="*", default=["dgp+", "autotvm", "bao", "droplet", "genetic", "random"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--spaces", help="names of files, separated by commas; all without it")
    told = parser.parse_intermixed_args()
    files = sorted(told.folder.glob("*.parquet"))
    files = [file for file in files if not told.spaces or file.stem in told.spaces.split(",")]
    ratios = []
    print(f"{'space':30s}" + "".join(f"{name:>10s}" for name in told.strategies) + f"{'dgp+/best':>12s}")
    for file in files:
        recording = Recording(file)
        medians = {
            name: float(np.median([recording.needed(name, seed, told.trials) for seed in range(told.seeds)]))
            for name in told.strategies
        }
        others = [median for name, median in medians.items() if name != "dgp+"]
        if others and "dgp+" in medians:
            ratios.append(medians["dgp+"] / min(others))
        texts = [f"{median:.0f}" if median <= told.trials else "never" for median in medians.values()]
        shown = "".join(f"{text:>10s}" for text in texts)
        print(f"{file.stem:30s}{shown}" + (f"{ratios[-1]:12.2f}" if ratios else ""), flush=True)
    if ratios:
        print(f"geometric mean of the ratios {np.exp(np.mean(np.log(ratios))):.2f}, the largest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
