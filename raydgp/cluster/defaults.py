"""The default configurations of many layers, measured one after the other without a search."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence

import ray
from ray.actor import ActorHandle

from raydgp.records import Context, Measurement, Record
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict

_POLL_S = 0.5


def measure_defaults(
    pool: ActorHandle, recorder: ActorHandle, contexts: Sequence[Context], until_unix_s: float | None
) -> None:
    """Measures and journals the default of each layer, in this order, until the time is over.

    A default needs no strategy, and a Tune trial for each would take longer than the measurement.

    Raises:
        JournalError, RunnersLost, RaydgpError: as `Cluster.tune`.
    """
    deadline_s = math.inf if until_unix_s is None else until_unix_s
    room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))  # builds run on while kernels are timed elsewhere
    waiting, flying = deque(contexts), dict[ray.ObjectRef, Context]()
    while flying or (waiting and time.time() < deadline_s):
        while waiting and len(flying) < room and time.time() < deadline_s:
            context = waiting.popleft()
            index = config_space(from_dict(context.workload), context.target).default
            flying[pool.measure.remote(context.workload, index)] = context
        ended, _ = ray.wait(list(flying), num_returns=1, timeout=_POLL_S)
        records = [_record(flying.pop(reference), ray.get(reference)) for reference in ended]
        if records:
            ray.get(recorder.append.remote(records))


def _record(context: Context, data: dict[str, object]) -> Record:
    measured = Measurement.from_dict(data)
    knobs = config_space(from_dict(context.workload), context.target).decode(measured.index)
    return Record(context=context, trial=0, knobs=knobs, measurement=measured)
