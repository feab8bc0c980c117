"""Files as other tuners write them: Kernel Tuner's cache, T1 and T4, and lines of AutoTVM's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydgp.workloads import Dense

OPTIONS: dict[str, list[Any]] = {"x": [16, 32, 64], "y": [1, 2, 4, 8], "method": ["a", "b"]}
ROWS = [
    {"x": x, "y": y, "method": method}
    for x in OPTIONS["x"]
    for y in OPTIONS["y"]
    for method in OPTIONS["method"]
    if x * y <= 128
]
T1 = {
    "General": {"BenchmarkName": "kernel"},
    "ConfigurationSpace": {
        "TuningParameters": [
            {"Name": "x", "Type": "int", "Values": "[16, 32, 64]"},
            {"Name": "y", "Type": "int", "Values": "[1, 2, 4, 8]"},
            {"Name": "method", "Type": "string", "Values": ["a", "b"]},
        ],
        "Conditions": [{"Expression": "x*y <= 128", "Parameters": ["x", "y"]}],
    },
}


def ms(row: dict[str, Any]) -> float:
    return float(abs(row["x"] - 32) + row["y"] + 3 * (row["method"] == "b"))


def fails(row: dict[str, Any]) -> bool:
    return bool(row["x"] == 16 and row["y"] == 8)


def cache(device: str = "A4000") -> dict[str, Any]:
    rows = {}
    for row in ROWS:
        outcome: dict[str, Any] = {"time": ms(row), "times": [ms(row) - 0.5, ms(row), ms(row) + 0.5]}
        if fails(row):
            outcome = {"time": "RuntimeFailedConfig"}
        times = {"compile_time": 900.0, "benchmark_time": 100.0, "timestamp": "2023-12-22 09:53:48.691683+00:00"}
        rows[",".join(map(str, row.values()))] = {**row, **outcome, **times}
    return {"device_name": device, "kernel_name": "kernel", "tune_params": OPTIONS, "objective": "time", "cache": rows}


def t4(unit: str = "milliseconds") -> dict[str, Any]:
    scale = {"milliseconds": 1, "microseconds": 1000}[unit]
    results: list[dict[str, Any]] = [
        {
            "timestamp": "2023-12-22 09:53:48+00:00",
            "configuration": row,
            "times": {"compilation": 900.0 * scale, "runtimes": [] if fails(row) else [ms(row) * scale]},
            "invalidity": "runtime" if fails(row) else "correct",
            "correctness": int(not fails(row)),
            "measurements": [],
        }
        for row in ROWS
    ]
    return {"schema_version": "1.0.0", "metadata": {"timeunit": unit}, "results": results}


def _tensor(*shape: int) -> list[Any]:
    return ["TENSOR", list(shape), "float32"]


def _arguments(workload: Any) -> list[Any]:
    """As TVM's operators have them."""
    if isinstance(workload, Dense):
        return [_tensor(workload.n, workload.k), _tensor(workload.m, workload.k), None, "float32"]
    w, (top, left) = workload, workload.padding
    groups = getattr(w, "groups", w.ci if w.op == "depthwise_conv2d" else 1)
    arrays = [_tensor(w.n, w.ci, w.h, w.w), _tensor(getattr(w, "co", w.ci), w.ci // groups, w.kh, w.kw)]
    own = [groups] if w.op == "group_conv2d" else []
    return [*arrays, list(w.stride), [top, left, top, left], list(w.dilation), *own, "float32"]


def line(
    template: str,
    workload: Any,
    index: int,
    knobs: dict[str, Any],
    costs: Sequence[float] = (1e-3,),
    error_number: int = 0,
    target: str = "cuda -keys=cuda,gpu -arch=sm_70",
) -> dict[str, Any]:
    """A line of AutoTVM's log."""
    entity = [
        [name, "sp", [-1, *value[1:]]] if isinstance(value, tuple) else [name, "ot", value]
        for name, value in knobs.items()
    ]
    return {
        "input": [target, template, _arguments(workload), {}],
        "config": {"index": index, "code_hash": None, "entity": entity},
        "result": [list(costs), error_number, 2.5, 1598686547.25],
        "version": 0.2,
        "tvm_version": "0.8.0",
    }
