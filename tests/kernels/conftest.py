import pytest

from raydgp import Conv2d, config_space
from raydgp.kernels.target import host_target


@pytest.fixture(scope="session")
def target():
    return host_target("llvm")


@pytest.fixture(scope="session")
def space():
    """A small convolution's."""
    return config_space(Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1)), "llvm")


@pytest.fixture(scope="session")
def library(space, target):
    from raydgp.kernels.build import build

    return build(space, space.default, target)
