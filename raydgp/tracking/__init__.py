"""MLflow as a follower of the journal, in a process of its own: it can neither slow nor stop a measurement."""

from raydgp.tracking.reach import check
from raydgp.tracking.sink import Sink, sync

__all__ = ["Sink", "check", "sync"]
