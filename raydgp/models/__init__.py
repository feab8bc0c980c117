"""A user's network: imported, packed, cut into tasks, compiled, and the folder that it is deployed to."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
