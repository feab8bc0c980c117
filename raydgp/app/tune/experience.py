"""What earlier measurements say of a layer: configurations to start from, and whether there is more to search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from raydgp.errors import InputError
from raydgp.records import Context, Record, RunManifest
from raydgp.records.run import runs_in
from raydgp.settings import TuneSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.targets.kinds import FUNCTION
from raydgp.templates.spaces import config_space
from raydgp.workloads import Fused, Task, Workload, from_dict

_BEST = 6  # configurations to start from: the fastest is often luck, one of the first few is as fast again
_WINNERS = Path("tophub")  # of other GPUs, that the package has
_SEARCHED = 64  # measurements after which another run's search counts as done


def space_sharing_key(workload: Workload) -> Hashable:
    """What layers with the same space have in common: an epilogue changes little of what is fast."""
    if isinstance(workload, Fused):
        return workload.anchor, workload.block_in, workload.block_out, workload.algorithm
    return workload


class Experience:
    """Measurements on the same device: of this run, and of the other runs in its folder.

    Args:
        settings: of this run.
        tasks: of which it is asked.
        target, device: as in a record; measurements on others are left out.
    """

    def __init__(self, settings: TuneSettings, tasks: Sequence[Task], target: Target, device: dict[str, Any]) -> None:
        self._settings, self._target, self._device = settings, target, device
        self._keys = {space_sharing_key(task.workload) for task in tasks}
        self._elsewhere = list(self._other_runs())

    def with_start_points(self, manifest: RunManifest, tasks: Sequence[Task], records: Iterable[Record]) -> RunManifest:
        """The manifest with start points for those of the tasks that have none, and no record but the default's.

        Layers with one space share their points. Where nothing is known of a layer of a GPU, the winners of the most
        similar layers on other GPUs stand in, as AutoTVM's users had them. A task that another run has searched itself
        is settled: its best are measured again, not searched for.
        """
        records = list(records)
        measured = Counter(record.context.task for record in records)
        fresh = {task.name: task.workload for task in tasks if measured[task.name] <= 1}
        by_key: defaultdict[Hashable, list[Record]] = defaultdict(list)
        for record in [*self._elsewhere, *records]:
            by_key[space_sharing_key(from_dict(record.context.workload))].append(record)
        entries = []
        for entry in manifest.tasks:
            if entry.name in fresh and not entry.start_points:
                space = config_space(fresh[entry.name], self._target)
                sharing = by_key[space_sharing_key(space.workload)]
                same = sum(record.context.space_hash == space.hash for record in sharing)
                points = _fastest(sharing, space.size) or self._winners(space)
                update = {"start_points": points, "settled": same >= _SEARCHED}
                entry = entry.model_copy(update=update)
            entries.append(entry)
        return manifest.model_copy(update={"tasks": entries})

    def _winners(self, space: ConfigSpace) -> list[int]:
        if self._target.behaviour.on_processors:  # of which whole spaces come with the package, as models
            return []
        from raydgp.records.recorded import recorded_files  # load pyarrow, which most runs do not need yet
        from raydgp.records.winners import nearest_winners

        return nearest_winners(recorded_files([_WINNERS]), space, _BEST)

    def _other_runs(self) -> Iterable[Record]:
        if self._target.kind == FUNCTION:  # whose name does not tell its code
            return
        for run in runs_in(self._settings.runs_dir):
            same = (run.manifest.target, run.manifest.device) == (self._target, self._device)
            if same and run.path != self._settings.run_dir:
                yield from run.records(self._is_shared)

    def _is_shared(self, context: Context) -> bool:
        try:
            return space_sharing_key(from_dict(context.workload)) in self._keys
        except InputError:  # an operator of somebody's package that is not here
            return False


def _fastest(records: Sequence[Record], size: int) -> list[int]:
    """The fastest configurations among records of layers that share a space, each once."""
    ranked = sorted((r for r in records if r.measurement.ok), key=lambda r: r.measurement.median_s)
    return [i for i in dict.fromkeys(r.measurement.index for r in ranked) if i < size][:_BEST]
