"""What holds for all tests."""

import signal
from pathlib import Path

import hypothesis
import pytest

from raydgp import Conv2d, config_space
from raydgp.targets import Target

hypothesis.settings.register_profile("raydgp", deadline=None)  # a busy machine is slow, not wrong
hypothesis.settings.load_profile("raydgp")

WAITING = ("notebooks", "cluster", "faults")  # what starts Ray, or waits for deadlines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first, so that other workers compute meanwhile and none is left alone with it at the end."""
    items.sort(key=lambda item: item.path.relative_to(Path(__file__).parent).parts[0] not in WAITING)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Gives every test, and what its fixtures start, Python's own handler of SIGINT.

    Started in the background by a shell, as CI may do it, pytest ignores the signal; and `Tuner.fit` leaves a handler
    of its own behind, which takes the next Ctrl-C for itself.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def target():

    return Target.here("llvm")


@pytest.fixture(scope="session")
def space():
    """A small convolution's."""
    return config_space(Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1)), "llvm")


@pytest.fixture(scope="session")
def library(space, target):
    from tests.support.kernels import build

    return build(space, space.default, target)
