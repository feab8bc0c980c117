"""Strategies compared on recorded spaces: the same tasks, seeds and batches for all, medians with their uncertainty."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import numpy as np
import pandas as pd

from raydgp import search
from raydgp.app.compare.leave_one_out import make_without
from raydgp.app.compare.score import RandomSearch
from raydgp.app.compare.summary import SHARES, starts
from raydgp.app.compare.trajectory import follow
from raydgp.errors import InputError
from raydgp.records.recorded import RecordedSpace, recorded_files
from raydgp.registry import adopt, registered
from raydgp.settings import CompareSettings
from raydgp.surrogates.elsewhere import same_kernel
from raydgp.workloads import zoo

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_LOOKS = tuple(2**power for power in range(11))  # measurements after which a search is looked at


def check(paths: Sequence[Path], settings: CompareSettings) -> list[Path]:
    """Whether a comparison can begin.

    Returns:
        The Parquet files that the paths mean.

    Raises:
        InputError: a file is not a recorded space, or a strategy or option is unknown.
    """
    files = recorded_files(paths)
    if not files:
        raise InputError(f"{', '.join(map(str, paths))}: no Parquet files there; give folders of recorded spaces")
    if missing := [path for path in files if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file; give recorded spaces, folders of them, or a name such as znver4")
    spaces = [RecordedSpace.load(path).space for path in files]
    for name, options in settings.strategies.items():
        search.create(options.get("strategy", name), spaces[0], **_without_name(options))
    return files


def compare(
    paths: Sequence[Path], settings: CompareSettings, progress: Callable[[str, int, int], None]
) -> pd.DataFrame:
    """Runs every strategy on every recorded space with every seed, once `check` has passed.

    A strategy that starts from a pre-trained model gets one that never saw the task, made of the other spaces; the
    seconds do not count its making. One that learns from other devices gets what those recorded of the same kernel.

    Args:
        progress: called with what is going on, how much of it is done, and of how much.

    Returns:
        A row a search: task, calls (of it in its network, where that is known), strategy, seed, runners; for each of
        `SHARES` measurements_<share> and seconds_<share>; of all of it sampled, failed (configurations), gflops,
        latency_s (the best), seconds (of the search), build_s, run_s, thinking_s (what they went to), score; and
        quality_<n>, the best after n measurements or, where there were fewer, in the end, as a share of the space's;
        and start_<rank>, see `starts`.
    """
    models: dict[Path, Path | None] = dict.fromkeys(paths)
    if any(search.starts_from_model(options.get("strategy", name)) for name, options in settings.strategies.items()):
        teach = partial(make_without, paths=paths, root=settings.models_dir, epochs=settings.epochs)
        for done, (path, folder) in enumerate(zip(paths, _map(teach, paths, settings.workers), strict=True), 1):
            models[path] = folder
            progress("models", done, len(paths))
    others = _other_devices(paths)
    jobs = [
        _Job(path, name, options, seed, runners, settings, models[path], others[path])
        for seed in range(settings.seeds)
        for path in paths
        for runners in settings.runners
        for name, options in settings.strategies.items()
    ]
    rows = []
    for row in _map(_search, jobs, settings.workers):
        rows.append(row)
        progress("searches", len(rows), len(jobs))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Job:
    path: Path
    name: str
    options: Mapping[str, Any]
    seed: int
    runners: int
    settings: CompareSettings
    models: Path | None
    others: Sequence[Path]


def _other_devices(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """For each recorded space those of the same kernel from other devices."""
    spaces = {path: RecordedSpace.load(path) for path in paths}
    return {
        path: [
            other
            for other, there in spaces.items()
            if same_kernel(here.space, there.space) and here.device.get("name") != there.device.get("name")
        ]
        for path, here in spaces.items()
    }


def _without_name(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "strategy"}


def _map(function: Callable[[_In], _Out], inputs: Sequence[_In], workers: int) -> Iterator[_Out]:
    if workers == 1:
        yield from map(function, inputs)
        return
    context = multiprocessing.get_context("spawn")  # strategies may hold threads, which a fork would break
    parts = cloudpickle.dumps(registered())  # a notebook's classes have no module that a child could import
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_adopt, initargs=(parts,)) as pool:
        yield from pool.map(function, inputs)


def _adopt(parts: bytes) -> None:
    adopt(cloudpickle.loads(parts))


def _search(job: _Job) -> dict[str, Any]:
    recorded = RecordedSpace.load(job.path)
    strategy, options = job.options.get("strategy", job.name), _without_name(job.options)
    if job.models:
        options = search.with_models(strategy, options, job.models)
    options = search.with_elsewhere(strategy, options, job.others)
    settings, top = job.settings, float(recorded.gflops.max())
    budget = (settings.trials, settings.batch, job.runners, settings.patience)
    went = follow(recorded, strategy, options, job.seed, *budget)
    row: dict[str, Any] = {"task": recorded.name, "calls": calls(recorded.name), "strategy": job.name}
    row |= {"seed": job.seed, "runners": job.runners}
    for share in SHARES:
        row[f"measurements_{100 * share:.0f}"] = went.measurements_to(share)
        row[f"seconds_{100 * share:.0f}"] = went.seconds_to(share)
    with np.errstate(divide="ignore"):
        latencies_s = float(recorded.median_s.min()) / went.quality
    row |= {"sampled": len(went.quality), "failed": went.failed, "gflops": top * went.quality[-1]}
    row |= {"latency_s": latencies_s[-1], "seconds": went.seconds[-1]}
    row |= {"build_s": went.build_s, "run_s": went.run_s, "thinking_s": went.thinking_s}
    row |= {
        f"quality_{count}": went.quality[min(count, len(went.quality)) - 1]
        for count in _LOOKS
        if count <= settings.trials
    }
    row |= starts(went.shares)
    row["score"] = RandomSearch(recorded).score(went.seconds, latencies_s)
    return row


def calls(name: str) -> int:
    """How often a network calls the task `<network>/<task>`; 1 where the papers' tables have none of that name."""
    network, _, task = name.rpartition("/")
    if network not in zoo.NETWORKS:
        return 1
    return next((known.count for known in zoo.tasks(network) if known.name == task), 1)
