"""Ray: the runners, the pool that measures with them, and the search of each layer through Ray Tune.

Names are imported when they are asked for: every worker process imports this package, and most of them need neither
Ray Tune nor the strategies, which take longer to import than Ray takes to start the process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raydgp.cluster.cluster import Cluster
    from raydgp.cluster.layer import LayerOutcome
    from raydgp.cluster.searcher import RaydgpSearcher
    from raydgp.cluster.trainable import MeasureBatch

__all__ = ["Cluster", "LayerOutcome", "MeasureBatch", "RaydgpSearcher"]

_HOMES = {"Cluster": "cluster", "LayerOutcome": "layer", "MeasureBatch": "trainable", "RaydgpSearcher": "searcher"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
