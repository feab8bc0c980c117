"""MLflow as a follower of the journal, in a process of its own: it can neither slow nor stop a measurement."""

from raydgp.tracking.process import TrackerProcess, sync
from raydgp.tracking.uris import check

__all__ = ["TrackerProcess", "check", "sync"]
