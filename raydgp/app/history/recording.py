"""Measures a whole sub-space, journalled so that it can be stopped and resumed, and keeps it as one Parquet file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from raydgp.app.tune import plan
from raydgp.errors import RaydgpError
from raydgp.measure import LocalMeasurer, Measurer
from raydgp.records import Context, Journal, Measurement, Record, Status, read
from raydgp.records.recorded import RecordedSpace
from raydgp.settings import RecordSettings, TuneSettings
from raydgp.space import ConfigSpace, Indices
from raydgp.space.thinning import fix, thinned
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload

_CHUNK = 32  # configurations built together and journalled together
_ROUNDS = 3  # measurements of what may be the best
_NEAR = 1.1  # latency over the lowest up to which a configuration may be the best


def planned(settings: RecordSettings) -> tuple[ConfigSpace, Target]:
    """The sub-space of a layer task that is to be recorded, and this machine's target.

    Raises:
        InputError: unknown network, task or knob, or no such target here.
    """
    _, (task,) = plan(TuneSettings(model=settings.model, tasks=[settings.task]))
    target = Target.here(settings.target)
    return sub_space(task.workload, target, settings.valid, settings.fix), target


def record_here(
    settings: RecordSettings, space: ConfigSpace, target: Target, progress: Callable[[int, int], None]
) -> RecordedSpace:
    """Records on this machine what is `planned`, whatever it costs; the rest is as in `record`."""
    with LocalMeasurer(target, settings.measure.model_copy(update={"stop_hopeless": False})) as measurer:
        return record(f"{settings.model}/{settings.task}", space, target, measurer, settings.out, progress)


def sub_space(workload: Workload, target: Target, valid: int, fixed: Sequence[str]) -> ConfigSpace:
    """The sub-space of a layer that is recorded.

    Args:
        target: attributes of the target, whose limits say what is valid.
        valid: so many valid configurations at most.
        fixed: `knob=option`, of knobs that keep one option, see `raydgp.space.thinning.fix`.

    Raises:
        InputError: no template for the layer on that target, or an unknown knob or option.
    """
    return thinned(fix(config_space(workload, target), fixed), valid)


def record(
    name: str,
    space: ConfigSpace,
    target: Target,
    measurer: Measurer,
    path: Path,
    progress: Callable[[int, int], None],
) -> RecordedSpace:
    """Measures every valid configuration of a space and writes `path`; the journal beside it is removed at the end.

    What comes within a tenth of the best is measured in two more rounds, and all of its repeats count: with thousands
    of configurations, the best of single measurements would be the luckiest.

    Args:
        name: `<network>/<task>`.
        target: attributes of the target, for the journal's records.
        progress: called with (measurements made, of how many) after every chunk.

    Raises:
        JournalError: the journal cannot be written; what it holds already is kept for the next time.
        RaydgpError: none of the first configurations ran: it is the machine that cannot, so nothing is kept.
    """
    journal_path = path.with_suffix(".jsonl")
    everything = np.flatnonzero(space.valid(np.arange(space.size)))
    done: defaultdict[int, list[Measurement]] = defaultdict(list)
    for old in read(journal_path):
        if old.context.space_hash == space.hash and old.measurement.status is not Status.RUNNER_LOST:
            done[old.measurement.index].append(old.measurement)
    context = Context(
        task=name,
        workload=space.workload.to_dict(),
        target=target,
        space_hash=space.hash,
        strategy="record",
        seed=0,
        run=path.stem,
    )
    with Journal(journal_path) as journal:
        for round_ in range(_ROUNDS):
            wanted = everything if round_ == 0 else _near_the_best(done)
            left = np.array([index for index in wanted if len(done[int(index)]) <= round_], np.int64)
            # In random order: a machine that grows slower over the minutes must not favour one region of the space.
            left = np.random.default_rng(round_).permutation(left)
            for start in range(0, len(left), _CHUNK):
                measured = measurer.measure(space, left[start : start + _CHUNK])
                if not any(done.values()) and not any(m.ok for m in measured):
                    raise RaydgpError(f"{name}: none of {len(measured)} configurations ran ({measured[0].error})")
                journal.append(
                    [
                        Record(context=context, trial=round_, knobs=space.decode(m.index), measurement=m)
                        for m in measured
                    ]
                )
                for m in measured:
                    done[m.index].append(m)
                progress(len(wanted) - len(left) + start + len(measured), len(wanted))
    recorded = RecordedSpace.of(name, space, [_merged(measured) for measured in done.values()])
    recorded.save(path)
    journal_path.unlink()
    journal_path.with_name(journal_path.name + ".lock").unlink(missing_ok=True)
    return recorded


def _near_the_best(done: Mapping[int, Sequence[Measurement]]) -> Indices:
    """Judges by the first measurement of each, so that a resumed recording chooses the same ones."""
    latency = {index: measured[0].median_s for index, measured in done.items() if measured[0].ok}
    limit = _NEAR * min(latency.values(), default=0.0)
    return np.array([index for index, median_s in latency.items() if median_s <= limit], np.int64)


def _merged(measured: Sequence[Measurement]) -> Measurement:
    """The first measurement with the repeats of all; the first failure where there is one."""
    failure = next((m for m in measured if not m.ok), None)
    return failure or replace(measured[0], times_s=tuple(time_s for m in measured for time_s in m.times_s))
