"""What won on other devices, in the space of one layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.errors import MALFORMED, InputError
from raydgp.records import Record
from raydgp.records.files import read_records
from raydgp.records.history import sorted_json
from raydgp.records.importers import autotvm_log
from raydgp.records.recorded import RecordedSpace, is_recorded
from raydgp.space import ConfigSpace
from raydgp.workloads import Fused, Workload, from_dict

Knobs = dict[str, Any]
Tail = tuple[int, ...]  # of a split, all factors but the outermost
Tails = Mapping[Tail, Tail]  # -> the split
_LOOKED_AT = 16  # winners for each one wanted: the others are of layers too far away


@dataclass(frozen=True)
class Winner:
    """The best configuration of a layer on some device.

    Attributes:
        kind: of target.
    """

    workload: Workload
    kind: str
    knobs: Knobs


def winners(paths: Sequence[Path], space: ConfigSpace) -> list[int]:
    """The valid configurations of a space that are the best of some layer elsewhere, in the order of the files.

    A winner fits another layer's space where that has the same knobs with its options. Of a split it is all factors but
    the outermost, which is what is left of the loop (in AutoTVM's logs it is -1).

    Raises:
        InputError: a file that is none of measurements.
    """
    return _fitting((winner for path in paths for winner in _best_of(path)), space, _same)


def nearest_winners(paths: Sequence[Path], space: ConfigSpace, count: int) -> list[int]:
    """Valid configurations like the winners of the layers most like this one, those of the nearest layer first.

    Layers are of the same operator and kind of target; how far apart two are is the sum of the differences of the
    logarithms of their sizes. Where an extent is another one, a split gets the factors nearest to the winner's, as in
    AutoTVM's fallback to a reference log (`FallbackConfigEntity.fallback_with_reference_log`).

    Raises:
        InputError: as of `winners`.
    """
    own = _anchor(space.workload)

    def apart(winner: Winner) -> tuple[float, bool]:
        there = _log_sizes(_anchor(winner.workload))
        return sum(abs(there[name] - size) for name, size in _log_sizes(own).items()), winner.workload != own

    found = (winner for path in paths for winner in _best_of(path))
    alike = [each for each in found if each.kind == space.target and _anchor(each.workload).op == own.op]
    return _fitting(sorted(alike, key=apart)[: _LOOKED_AT * count], space, _nearest)[:count]


def _fitting(found: Iterable[Winner], space: ConfigSpace, match: Callable[[Tails, Tail], Tail | None]) -> list[int]:
    """Those that are valid configurations of a space, each once, in their order.

    Args:
        match: which of the splits that a knob has is taken for another one; None where none is.
    """
    places: dict[int, None] = {}
    tails = {knob.name: {label[1:]: label for label in knob.labels if isinstance(label, tuple)} for knob in space.knobs}
    for winner in found:
        with suppress(*MALFORMED):  # another template's, of other extents, or no knobs at all
            places[space.encode(_fitted(winner.knobs, tails, match))] = None
    indices = np.array(list(places), np.int64)
    return indices[space.valid(indices)].tolist()


def _fitted(knobs: Knobs, tails: Mapping[str, Tails], match: Callable[[Tails, Tail], Tail | None]) -> Knobs:
    """Knobs with the outermost factors of a space; what it has not stays as it is.

    Args:
        tails: by knob.
    """
    out = {}
    for name, value in knobs.items():
        split = match(tails.get(name, {}), tuple(value[1:])) if isinstance(value, list | tuple) else None
        out[name] = value if split is None else split
    return out


def _same(tails: Tails, tail: Tail) -> Tail | None:
    return tails.get(tail)


def _nearest(tails: Tails, tail: Tail) -> Tail | None:
    """The option whose factors have the least ratios to those of a tail, larger ones last; None without a ratio."""
    alike = [each for each in tails if len(each) == len(tail)]
    if tail in tails or not alike or min(tail, default=1) < 1:
        return tails.get(tail)
    ratios = np.log2(np.array(alike, np.float64)) - np.log2(tail)
    return tails[alike[int(np.lexsort((ratios.sum(axis=1), np.abs(ratios).sum(axis=1)))[0])]]


def _anchor(workload: Workload) -> Workload:
    anchor: Workload = workload.anchor if isinstance(workload, Fused) else workload
    return anchor


@lru_cache(maxsize=4096)
def _log_sizes(workload: Workload) -> dict[str, float]:
    sizes = {**workload.sizes(), "flops": max(1, workload.flops)}  # a copy has none
    return {name: math.log2(size) for name, size in sizes.items()}


@lru_cache(maxsize=16)  # the same files serve many layers
def _best_of(path: Path) -> list[Winner]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a journal, a Parquet file or a log of AutoTVM's winners")
    if path.suffix == ".log":
        return [_winner(record) for record in autotvm_log.scan(path, path.stem).records if record.measurement.ok]
    if path.suffix == ".parquet" and is_recorded(path):
        recorded = RecordedSpace.load(path)
        knobs = recorded.space.decode(int(recorded.indices[recorded.gflops.argmax()]))
        return [Winner(recorded.space.workload, recorded.space.target, knobs)]
    return [_winner(record) for record in _best(read_records(path))]


def _winner(record: Record) -> Winner:
    return Winner(from_dict(record.context.workload), record.context.target.kind, record.knobs)


def _best(records: Sequence[Record]) -> Iterator[Record]:
    """Of each space, target and device the fastest."""
    best: dict[tuple[Any, ...], Record] = {}
    for record in records:
        key = (record.context.space_hash, record.context.target, sorted_json(record.measurement.device))
        if record.measurement.ok and (key not in best or record.measurement.median_s < best[key].measurement.median_s):
            best[key] = record
    yield from best.values()
