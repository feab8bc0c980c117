"""A search strategy of one's own: hill climbing. Run it as it is: it searches a recorded space, then runs the contract.

A package makes the class known with an entry point instead of `register`:

    [project.entry-points."raydgp.strategies"]
    hill = "my_package:HillClimbing"
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field, PositiveInt

from raydgp import data, search
from raydgp.measure.driving import drive
from raydgp.measure.replay import ReplayMeasurer
from raydgp.records.recorded import RecordedSpace
from raydgp.testing import StrategyContract


class HillOptions(search.Options):
    best: PositiveInt = Field(3, description="the best configurations so far, whose neighbours are measured next")


@search.register
class HillClimbing(search.BookkeepingStrategy):
    """Measures neighbours, one knob's step away, of the best so far, and random configurations where none are left."""

    name = "hill"
    options_model = HillOptions
    options: HillOptions

    def propose(self, n):
        best = self.told[np.argsort(-self.gflops, kind="stable")[: self.options.best]]
        around = [self.space.neighbours(index, radius=1) for index in best.tolist()]
        near = np.unique(np.concatenate([*around, np.zeros(0, np.int64)]))
        near = self.rng.permutation(near[self.fresh(near)])[:n]
        return np.concatenate([near, self.draw(n - len(near), without=near)])


class TestHillClimbing(StrategyContract):
    def make(self, space, seed=0):
        return search.create("hill", space, seed, best=2)


if __name__ == "__main__":
    recorded = RecordedSpace.load(data.history(Path("znver4/resnet18-rb3-sc"))[0])
    loop = search.Search(search.create("hill", recorded.space, seed=0), trials=96, batch=8)
    measured = sum(len(batch.measurements) for batch in drive(loop, ReplayMeasurer(recorded)))
    print(f"{measured} of {len(recorded.indices)} measured: {loop.best[1] / recorded.gflops.max():.0%} of the best")
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
