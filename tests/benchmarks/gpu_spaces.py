"""Measurements until within 1 % of the best on other people's recorded kernels, and dgp+ over the best of the others.

    python tests/benchmarks/gpu_spaces.py [--seeds 10] [--trials 240] [--spaces NAME,...] [--searches FILE]
        FOLDER [strategy ...]

FOLDER holds Parquet files: a row for each configuration that the kernel's restrictions allow, a column for each knob of
whole numbers, `ms` (missing: it did not run), and perhaps `ms_1`, ... of single timings. Medians over seeds, batches of
8, presets `small`, no model; a search that does not get there counts as twice the trials. Each search is a line of FILE
as soon as it has ended, and the same command goes on from there. Spaces that the settings of `dgp+` were chosen on are
told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from raydgp import Dense, search
from raydgp.search import Outcome
from raydgp.space import Columns, ConfigSpace, choice

_NEAR = 0.99  # of the best
CHOSEN_ON = (
    "convolution-A4000-hub",
    "convolution-GTX_1080Ti",
    "convolution-K20",
    "dedispersion-A4000-hub",
    "gemm-GTX_1080Ti",
    "gemm-K20",
    "pnpoly-GTX_1080Ti",
    "pnpoly-P100",
)


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

    def searched(self, name: str, seed: int, trials: int) -> dict[str, float]:
        """Measurements until within 1 % of the best (0: it did not get there), all of them, and the share found."""
        loop = search.Search(search.create(name, self.space, seed, preset="small"), trials, 8)
        top, found, asked = 1e3 / np.nanmin(self.ms), 0.0, 0
        while len(picks := loop.ask()):
            outcomes = [self.outcome(index) for index in picks.tolist()]
            for outcome in outcomes:
                asked += 1
                found = max(found, outcome.gflops / top)
                if found >= _NEAR:
                    return {"needed": asked, "asked": asked, "found": found}
            loop.tell(outcomes)
        return {"needed": 0, "asked": asked, "found": found}


def done(file: Path | None) -> pd.DataFrame:
    """The searches that have ended already, a row each."""
    lines = file.read_text().splitlines() if file and file.exists() else []
    columns = ["space", "strategy", "seed", "trials", "needed", "asked", "found"]
    return pd.DataFrame([json.loads(line) for line in lines], columns=columns)


def table(rows: pd.DataFrame, trials: int) -> None:
    """Prints the medians of each space and the ratios of `dgp+` to the best of the others."""
    cost = rows["needed"].where(rows["needed"] > 0, 2 * trials)
    medians = cost.groupby([rows["space"], rows["strategy"]]).median().unstack()
    medians = medians[rows["strategy"].unique()]
    shown = medians.map(lambda n: f"{n:.0f}" if n <= trials else "never")
    others = medians.drop(columns="dgp+", errors="ignore")
    if "dgp+" in medians and others.shape[1]:
        ratios = medians["dgp+"] / others.min(axis=1)
        shown["dgp+/best"] = ratios.map("{:.2f}".format)
    print(shown.to_string())
    if "dgp+" in medians and others.shape[1]:
        print(f"geometric mean of the ratios {np.exp(np.log(ratios).mean()):.2f}, the largest {ratios.max():.2f}")
    missed = rows[(rows["needed"] == 0)]
    gave_up = missed[missed["asked"] < trials].groupby("strategy").size()
    print("searches that did not get there:", missed.groupby("strategy").size().to_dict())
    print("of these, ended before the trials were spent:", gave_up.to_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("strategies", nargs="*", default=["dgp+", "autotvm", "bao", "droplet", "genetic", "random"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--spaces", help="names of files, separated by commas; all without it")
    parser.add_argument("--searches", type=Path, help="JSON lines of the searches that have ended")
    told = parser.parse_intermixed_args()
    files = sorted(told.folder.glob("*.parquet"))
    files = [file for file in files if not told.spaces or file.stem in told.spaces.split(",")]
    rows = done(told.searches).query("trials == @told.trials")
    known = set(zip(rows["space"], rows["strategy"], rows["seed"], strict=True))
    recordings: dict[str, Recording] = {}
    for seed, file, name in product(range(told.seeds), files, told.strategies):
        if (file.stem, name, seed) in known:
            continue
        recording = recordings.setdefault(file.stem, Recording(file))
        row = {"space": file.stem, "strategy": name, "seed": seed, "trials": told.trials}
        row |= recording.searched(name, seed, told.trials)
        print(f"{file.stem} {name} {seed}: {row['needed'] or 'never'}", file=sys.stderr, flush=True)
        rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        if told.searches:
            with told.searches.open("a") as out:
                out.write(json.dumps(row) + "\n")
    wanted = rows[rows["strategy"].isin(told.strategies) & rows["space"].isin([file.stem for file in files])]
    for chosen in (True, False):
        part = wanted[wanted["space"].isin(CHOSEN_ON) == chosen]
        if len(part):
            print(f"\n{'settings chosen on these' if chosen else 'not seen before'}, {told.seeds} seeds")
            table(part[part["seed"] < told.seeds], told.trials)


if __name__ == "__main__":
    main()
