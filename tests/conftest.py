"""What holds for all tests."""

import signal

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Gives every test, and what its fixtures start, Python's own handler of SIGINT.

    Started in the background by a shell, as CI may do it, pytest ignores the signal; and `Tuner.fit` leaves a handler
    of its own behind, which takes the next Ctrl-C for itself.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
