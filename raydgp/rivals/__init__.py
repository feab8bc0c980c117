"""What a deployed model is compared with; nothing here serves tuning or deployment."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
