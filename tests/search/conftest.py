"""Spaces and objectives of the search tests."""

import pytest

from raydgp import Conv2d, config_space
from raydgp.space import ConfigSpace, choice

LAYER = Conv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, stride=(1, 1), padding=(1, 1))


@pytest.fixture(scope="session")
def conv():
    """The CUDA space of a layer of ResNet-18."""
    return config_space(LAYER, "cuda")


@pytest.fixture(scope="session")
def lattice():
    """6 x 5 x 7 x 2 plain choices, all valid."""
    knobs = [choice(name, range(size)) for name, size in zip("abcd", (6, 5, 7, 2), strict=True)]
    return ConfigSpace(LAYER, "cuda", "lattice", knobs, {"a": 0, "b": 0, "c": 0, "d": 0})


@pytest.fixture(scope="session")
def holed():
    """9 x 9 choices of which a + b must be even, and a prime knob count of valid ones is left."""
    knobs = [choice("a", range(9)), choice("b", range(9))]
    return ConfigSpace(LAYER, "cuda", "holed", knobs, {"a": 0, "b": 0}, lambda c: (c["a"] + c["b"])[:, 0] % 2 == 0)


@pytest.fixture(scope="session")
def bowl():
    """GFLOPS that fall with the distance of the option numbers from two thirds of the way through each knob."""

    def gflops(space, indices):
        return 100.0 / (1.0 + ((space.digits(indices) - 2 * space.radix // 3) ** 2).sum(axis=1))

    return gflops
