"""Ray: the runners, the pool that measures with them, and the search of each layer through Ray Tune.

Every worker process imports this package, and most of them need neither Ray Tune nor the strategies, which take longer
to import than Ray takes to start the process.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
