"""Measurers turn configurations into measurements. A pool of them on a Ray cluster is in `raydgp.cluster`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
