"""Runs as one self-contained page: what was tuned, what came of it, where the time went, how to do it again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
