"""Measures the kernels of a bundle where nothing can be installed: needs the standard library and numpy alone.

The parent reads the bundle, orders, budgets, supervises and writes; a child owns the device. `raydgp.bundle.script`
packs these modules, and the few others of raydgp that they import, into one script.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
