"""What every strategy, cost model, pre-trained model, measurer and template keeps, as test classes to derive from.

    class TestHillClimbing(StrategyContract):
        def make(self, space, seed=0):
            return search.create("hill", space, seed)

pytest runs the tests of the derived class. `FaultyMeasurer` injects faults. Needs `pip install 'raydgp[testing]'`.
"""

import lazy_loader

try:
    import pytest
except ImportError as error:
    raise ImportError("raydgp.testing needs pytest: pip install 'raydgp[testing]'") from error

for _module in ("strategy", "measurer", "cost_model", "pretrained", "template"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
