"""One run of the tuner: plan, measure on the cluster, watch the journal, sum up."""

from raydgp.app.tune.planning import plan
from raydgp.app.tune.runs import Outcome, read, run

__all__ = ["Outcome", "plan", "read", "run"]
