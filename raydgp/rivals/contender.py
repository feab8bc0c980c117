"""`python -m raydgp.rivals.contender FD WAY SOURCE KIND THREADS`: one way to run a model, timed on request."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.rivals.frameworks import Way, onnxruntime_way, torch_way
from raydgp.sandbox.child_loop import Handle, allow_torch, serve
from raydgp.sandbox.messages import Message
from raydgp.targets import Target

if TYPE_CHECKING:
    from raydgp.models.importing import Imported  # loads torch

Array = NDArray[Any]


def start() -> Handle:
    way, source, kind, threads = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
    allow_torch()
    run, flat, expected = _make(way, source, kind, threads)
    error = max(_relative_error(a, b) for a, b in zip(flat(run()), expected, strict=True))
    for _ in range(3):
        run()

    def handle(request: dict[str, Any], body: bytes) -> Message:
        times_s = []
        for _ in range(request["warm_up"]):
            run()
        for _ in range(request["runs"]):
            began = time.perf_counter()
            run()
            times_s.append(time.perf_counter() - began)
        return {"times_s": times_s, "relative_error": error}, b""

    return handle


def _make(way: str, source: str, kind: str, threads: int) -> Way:
    if way == "raydgp":
        return _deployed(Path(source))
    if way == "untuned":
        return _untuned(source, kind)
    if way == "metaschedule":
        return _metaschedule(Path(source))
    return onnxruntime_way(source, kind, threads) if way == "onnxruntime" else torch_way(way, source, kind, threads)


def _deployed(folder: Path) -> Way:
    # each way in its process, with its own libraries alone: another's threads would disturb its time
    from raydgp.models.folder import Library, arrays

    model = Library(folder)
    arguments = model.prepare(model.inputs)
    return lambda: model.call(arguments), lambda out: list(arrays(out)), model.expected


def _untuned(source: str, kind: str) -> Way:
    """What TVM compiles when nobody has scheduled anything; for a GPU it then has rules of its own (DLight)."""
    # not above, see `_deployed`
    from tvm import relax

    from raydgp.models.importing import load
    from raydgp.targets.compiler import to_tvm

    model, target = load(source, check=False), Target.here(kind)
    module = model.module
    if target.behaviour.on_processors:
        with to_tvm(target):
            module = relax.get_pipeline("zero")(module)
    return _called(_exported(target.behaviour.part("executable")(module, target)), model, kind)


def _exported(executable: Any) -> Any:
    """The same, written and loaded again."""
    # not above, see `_deployed`
    import tvm

    from raydgp.build.compile import link

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.so")
        executable.export_library(path, fcompile=link)
        return tvm.runtime.load_module(path)


def _metaschedule(folder: Path) -> Way:
    """What TVM compiles with the schedules that its own tuner has left in a folder."""
    # not above, see `_deployed`
    from raydgp.models.importing import load
    from raydgp.rivals.metaschedule.model import TunedModel, compiled

    state = TunedModel.load(folder)
    if state is None:
        raise InputError(f"{folder}: MetaSchedule has tuned nothing there")
    model = load(state.model, check=False)
    return _called(compiled(model.module, state, folder), model, state.target.kind)


def _called(executable: Any, model: Imported, kind: str) -> Way:
    from raydgp.models.folder import Machine, arrays  # not above, see `_deployed`

    machine = Machine(executable, kind)
    inputs = machine.tensors(model.inputs)
    return lambda: machine.call(inputs), lambda out: list(arrays(out)), model.expected


def _relative_error(actual: Array, expected: Array) -> float:
    return float(np.abs(actual - expected).max() / max(float(np.abs(expected).max()), 1e-30))


if __name__ == "__main__":
    serve(start)
