"""Whole spaces that others have measured: cache files of Kernel Tuner and results in the T4 format, as recorded spaces.

Both are JSON. A cache file holds the options of its parameters; a T4 file holds configurations, and a T1 file beside it
their options and restrictions. What is not in the file counts as invalid.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.errors import MALFORMED, InputError, first_line
from raydgp.records.measurement import Measurement, Phases, Status
from raydgp.records.recorded import RecordedSpace
from raydgp.space import parameters
from raydgp.space.parametric import parameter_space
from raydgp.workloads import Parametric

_MILLISECOND = 1e-3
_UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "miliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
_STATUS = {  # of T4's words and of Kernel Tuner's errors in place of a time
    "correct": Status.OK,
    "compile": Status.BUILD_ERROR,
    "runtime": Status.RUN_ERROR,
    "timeout": Status.RUN_TIMEOUT,
    "correctness": Status.WRONG_ANSWER,
    "constraints": Status.INVALID,
    "CompilationFailedConfig": Status.BUILD_ERROR,
    "RuntimeFailedConfig": Status.RUN_ERROR,
    "InvalidConfig": Status.INVALID,
}


@dataclass(frozen=True)
class Description:
    """A space as a T1 file has it."""

    name: str
    options: dict[str, list[Any]]
    restrictions: list[str]


def content(path: Path) -> dict[str, Any] | None:
    """The JSON of a cache file, a T4 or a T1 file, gzipped or not; None where it is something else.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
        read = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give a file that exists") from None
    except (ValueError, EOFError, RecursionError):
        return None
    known = ("cache", "results", "ConfigurationSpace")
    return read if isinstance(read, dict) and any(key in read for key in known) else None


def description(path: Path, read: Mapping[str, Any]) -> Description | None:
    """The space of a T1 file; None of another one.

    Raises:
        InputError: the file lacks something.
    """
    if "ConfigurationSpace" not in read:
        return None
    try:
        space = read["ConfigurationSpace"]
        options = {each["Name"]: list(_listed(each["Values"])) for each in space["TuningParameters"]}
        conditions = [each["Expression"] for each in space.get("Conditions", ())]
        return Description(str(read["General"]["BenchmarkName"]), options, conditions)
    except (SyntaxError, *MALFORMED) as error:
        raise InputError(
            f"{path}: not a T1 description ({first_line(error)}); give one with TuningParameters"
        ) from None


def recorded_space(
    path: Path, read: Mapping[str, Any], described: Description | None, device: str | None
) -> tuple[RecordedSpace, list[str]]:
    """The space of a cache file or of T4 results, and what is to be said of it, in lines.

    Args:
        described: the space where a T1 file says it.
        device: that it was measured on; a cache file says it itself.

    Raises:
        InputError: the file lacks something, or no device is named.
    """
    try:
        rows = list(_cached(read) if "cache" in read else _results(read))
        options = described.options if described else read.get("tune_params") or _seen(rows)
        name = described.name if described else str(read.get("kernel_name") or path.name.partition(".")[0])
    except MALFORMED as error:
        raise InputError(f"{path}: neither a cache file of Kernel Tuner nor T4 results ({first_line(error)})") from None
    device = str(read.get("device_name") or device or "")
    if not device:
        raise InputError(f"{path}: names no device; give --device")
    whole = parameters(options, described.restrictions if described else (), name)
    assert isinstance(whole.workload, Parametric)
    measured: dict[int, Measurement] = {}
    strange = 0
    for knobs, fields in rows:
        try:
            index = whole.encode({knob.name: knobs[knob.name] for knob in whole.knobs})
        except MALFORMED:
            strange += 1
            continue
        measured.setdefault(index, Measurement(index=index, device={"kind": "function", "name": device}, **fields))
    if not any(m.ok for m in measured.values()):
        raise InputError(f"{path}: none of {len(rows)} configurations ran in its space; give another file")
    indices = np.array(sorted(measured), np.int64)
    allowed = np.flatnonzero(whole.valid(np.arange(whole.size))) if described and whole.size < 1 << 24 else indices
    notes = [f"{len(indices)} configurations of {whole.size}, {sum(m.ok for m in measured.values())} ran"]
    odd = {
        "left out: not of its space": strange,
        "left out: there twice": len(rows) - strange - len(indices),
        "that the restrictions allow are not in the file": len(np.setdiff1d(allowed, indices)),
        "break the restrictions": len(np.setdiff1d(indices, allowed)),
    }
    notes += [f"{count} {why}" for why, count in odd.items() if count]
    space = parameter_space(whole.workload, only=indices)
    return RecordedSpace.of(f"{name}/{device}", space, list(measured.values())), notes


def _cached(read: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Parameters and outcome of each configuration of a cache file."""
    objective = read.get("objective", "time")
    for row in read["cache"].values():
        value = row[objective] if objective in row else row["time"]
        ok = not isinstance(value, str)
        times = row.get("times") or [row["time"]]
        yield (
            row,
            _fields(
                Status.OK if ok else _STATUS.get(value, Status.RUN_ERROR),
                [_MILLISECOND * time for time in times] if ok else [],
                _MILLISECOND * row.get("compile_time", 0.0),
                _MILLISECOND * row.get("benchmark_time", 0.0),
                "" if ok else value,
                row.get("timestamp"),
            ),
        )


def _results(read: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Parameters and outcome of each configuration of T4 results."""
    unit = _UNITS[str(read.get("metadata", {}).get("timeunit", "milliseconds")).lower()]
    for row in read["results"]:
        invalidity, times = row.get("invalidity", "correct"), row.get("times", {})
        status = _STATUS.get(invalidity, Status.RUN_ERROR)
        runtimes = times.get("runtimes") or [each["value"] for each in row["measurements"] if each["name"] == "time"]
        yield (
            row["configuration"],
            _fields(
                status,
                [unit * time for time in runtimes] if status is Status.OK else [],
                unit * times.get("compilation", times.get("compilation_time", 0.0)),
                unit * sum(runtimes if status is Status.OK else ()),
                "" if status is Status.OK else str(invalidity),
                row.get("timestamp"),
            ),
        )


def _fields(
    status: Status, times_s: Sequence[float], build_s: float, run_s: float, error: str, time: str | None
) -> dict[str, Any]:
    return {
        "status": status,
        "times_s": tuple(float(time_s) for time_s in times_s),
        "phases": Phases(build_s=float(build_s), run_s=float(run_s)),
        "error": error,
        "time_unix_s": datetime.fromisoformat(time).timestamp() if time else 0.0,
    }


def _seen(rows: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, list[Any]]:
    """The options of each parameter that occur, in order."""
    names = list(rows[0][0])
    found = {name: list(dict.fromkeys(knobs[name] for knobs, _ in rows)) for name in names}
    return {name: sorted(v) if not any(isinstance(x, str) for x in v) else v for name, v in found.items()}


def _listed(values: Any) -> Sequence[Any]:
    """Values as a list, or as the text of one."""
    listed = ast.literal_eval(values) if isinstance(values, str) else values
    if not isinstance(listed, list | tuple):
        raise ValueError(f"values {values!r}")
    return listed
