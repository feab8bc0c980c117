"""One run of the tuner: plan, measure on the cluster, watch the journal, sum up."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
