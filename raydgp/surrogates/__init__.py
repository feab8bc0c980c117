"""Models of performance: cost models by name, the deep GP, and what pre-trains, keeps and tunes models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
