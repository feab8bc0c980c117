"""The command line. Exit codes: 0 done, 2 bad input in one line that says what to do, 1 anything else."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
