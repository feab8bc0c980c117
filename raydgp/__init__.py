"""raydgp: a Ray-based scalable tuner for DNN kernels on Apache TVM.

The public names are listed in `__init__.pyi`, and so are those of the rooms; each is imported when it is first used.
"""

import logging

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless the user's program shows its log
