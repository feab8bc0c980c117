"""A cost model of one's own: the nearest neighbours. Run it as it is: AutoTVM searches with it, then the contract runs.

A package makes the class known with an entry point instead of `register`:

    [project.entry-points."raydgp.surrogates"]
    nearest = "my_package:NearestNeighbours"
"""

import sys

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from raydgp import Conv2d, config_space, search, surrogates
from raydgp.testing import CostModelContract


@surrogates.register
class NearestNeighbours:
    """The mean of the five nearest measured configurations, in the logarithm of their features."""

    name = "nearest"

    def __init__(self, settings: surrogates.CostModelSettings) -> None:
        self.threads = settings.threads

    def fit(self, features, y):
        self.model = KNeighborsRegressor(min(5, len(y)), weights="distance", n_jobs=self.threads)
        self.model.fit(np.log2(1 + features), y)

    def predict(self, features):
        return self.model.predict(np.log2(1 + features)) if len(features) else np.zeros(0)


class TestNearestNeighbours(CostModelContract):
    def make(self, settings):
        return NearestNeighbours(settings)


def gflops(space, indices):
    """What a machine would say: fastest with few and large steps through memory."""
    columns = space.columns(indices)
    return 100 / (1 + (np.log2(columns["tile_f"][:, 2]) - 4) ** 2 + (np.log2(columns["tile_rc"][:, 1]) - 3) ** 2)


if __name__ == "__main__":
    space = config_space(Conv2d(n=1, ci=64, h=28, w=28, co=64, kh=3, kw=3, padding=(1, 1)), "cuda")
    for model in ("nearest", "boosted_trees"):
        strategy = search.create("autotvm", space, seed=0, preset="small", cost_model=model, iterations=50)
        loop = search.Search(strategy, trials=64, batch=16)
        while len(asked := loop.ask()):
            loop.tell([search.Outcome(int(i), float(g)) for i, g in zip(asked, gflops(space, asked), strict=True)])
        print(f"{model}: best {loop.best[1]:.1f} GFLOPS of {loop.measured} measurements")
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
