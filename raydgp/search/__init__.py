"""Search strategies by name. They propose and learn; they measure nothing and do no I/O."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
