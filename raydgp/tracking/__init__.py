"""MLflow as a follower of the journal, in a process of its own: it can neither slow nor stop a measurement."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
