"""`python -m raydgp.deploy.contender FD WAY SOURCE THREADS`: one way to run a model, timed on request."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.kernels.frames import Message
from raydgp.kernels.serve import Handle, serve

if TYPE_CHECKING:
    from raydgp.deploy.importing import Imported  # loads torch

Array = NDArray[Any]
Run = Callable[[], Any]
Way = tuple[Run, Callable[[Any], list[Array]], tuple[Array, ...]]  # a call, its output as arrays, what is expected

TORCH = ("torch eager", "torch channels_last", "torch frozen", "torch compiled")


def start() -> Handle:
    way, source, threads = sys.argv[2], sys.argv[3], int(sys.argv[4])
    sys.modules.pop("torch")  # `serve` hides it
    run, flat, expected = _make(way, source, threads)
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


def _make(way: str, source: str, threads: int) -> Way:
    if way == "raydgp":
        return _deployed(Path(source))
    if way == "untuned":
        return _untuned(source)
    if way == "metaschedule":
        return _metaschedule(Path(source))
    return _onnxruntime(source, threads) if way == "onnxruntime" else _torch(way, source, threads)


def _deployed(folder: Path) -> Way:
    from raydgp.deploy.folder import Deployed, arrays

    model = Deployed(folder)
    arguments = model.prepare(model.inputs)
    return lambda: model.call(arguments), lambda out: list(arrays(out)), model.expected


def _untuned(source: str) -> Way:
    """What TVM compiles when nobody has scheduled anything."""
    import tvm
    from tvm import relax

    from raydgp.deploy.importing import load
    from raydgp.kernels.target import host_target, to_tvm

    model, target = load(source), to_tvm(host_target("llvm"))
    with target:
        module = relax.get_pipeline("zero")(model.module)
    return _called(tvm.compile(module, target=target), model)


def _metaschedule(folder: Path) -> Way:
    """What TVM compiles with the schedules that its own tuner has left in a folder."""
    from raydgp.deploy.importing import load
    from raydgp.deploy.metaschedule_model import Tuned, compiled

    state = Tuned.load(folder)
    if state is None:
        raise InputError(f"{folder}: MetaSchedule has tuned nothing there")
    model = load(state.model)
    return _called(compiled(model.module, state, folder), model)


def _called(executable: Any, model: Imported) -> Way:
    import tvm
    from tvm import relax

    from raydgp.deploy.folder import arrays

    main = relax.VirtualMachine(executable, tvm.cpu())["main"]
    inputs = [tvm.runtime.tensor(array) for array in model.inputs]
    return lambda: main(*inputs), lambda out: list(arrays(out)), model.expected


def _torch(way: str, source: str, threads: int) -> Way:
    import torch

    from raydgp.deploy.importing import load_torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    module: Any
    module, inputs = load_torch(source)
    expected = tuple(a.numpy() for a in _leaves(module(*inputs)))
    if way == "torch channels_last":
        module = module.to(memory_format=torch.channels_last)
        inputs = tuple(a.to(memory_format=torch.channels_last) if a.ndim == 4 else a for a in inputs)
    elif way == "torch frozen":
        module = torch.jit.optimize_for_inference(torch.jit.trace(module, inputs))
    elif way == "torch compiled":
        module = torch.compile(module)
    return lambda: module(*inputs), lambda out: [a.numpy() for a in _leaves(out)], expected


def _onnxruntime(source: str, threads: int) -> Way:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    if source.endswith(".onnx"):
        from raydgp.deploy.importing import load

        model = load(source)
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        inputs, expected = model.inputs, model.expected
    else:
        import torch

        from raydgp.deploy.importing import load_torch

        module, tensors = load_torch(source)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = str(Path(folder) / "model.onnx")
            torch.onnx.export(module, tensors, path, dynamo=False)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            inputs, expected = tuple(a.numpy() for a in tensors), tuple(a.numpy() for a in _leaves(module(*tensors)))
    feeds = dict(zip((value.name for value in session.get_inputs()), inputs, strict=True))
    return lambda: session.run(None, feeds), list, expected


def _leaves(out: Any) -> list[Any]:
    from torch.utils._pytree import tree_leaves

    return list(tree_leaves(out))


def _relative_error(actual: Array, expected: Array) -> float:
    return float(np.abs(actual - expected).max() / max(float(np.abs(expected).max()), 1e-30))


if __name__ == "__main__":
    serve(start)
