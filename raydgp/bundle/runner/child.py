"""`python -m raydgp.bundle.runner.child FD`: the process that owns the device."""

from __future__ import annotations

import struct
from typing import Any

from raydgp.sandbox.child_loop import Handle, serve
from raydgp.sandbox.messages import Message

_LENGTH = struct.Struct("<Q")


def joined(*parts: bytes) -> bytes:
    """Several bytes as the one body of a message."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def parted(body: bytes) -> list[bytes]:
    """Inverse of `joined`."""
    parts, at = [], 0
    while at < len(body):
        size = _LENGTH.unpack_from(body, at)[0]
        parts.append(body[at + 8 : at + 8 + size])
        at += 8 + size
    return parts


def start() -> Handle:
    from raydgp.bundle.runner import models
    from raydgp.bundle.runner.bench import Bench
    from raydgp.bundle.runner.cuda import CudaLauncher
    from raydgp.bundle.runner.cuda_model import CudaModel
    from raydgp.bundle.runner.launcher import DeviceFault, Launcher
    from raydgp.bundle.runner.llvm import LlvmLauncher
    from raydgp.bundle.runner.llvm_model import LlvmModel
    from raydgp.bundle.runner.sequence import Line, LoadedModel

    launcher: Launcher
    bench: Bench | None = None
    line: Line
    model: LoadedModel

    def handle(request: dict[str, Any], body: bytes) -> Message:
        try:
            return answer(request, body)
        except DeviceFault as error:
            return {"error": str(error)}, b""

    def answer(request: dict[str, Any], body: bytes) -> Message:
        nonlocal launcher, bench, line, model
        if request["do"] == "open":
            launcher = opened(request, parted(body))
            bench = Bench(launcher, request["measure"])
            return {"device": launcher.device}, b""
        assert bench is not None
        if request["do"] == "task":
            bench.add(request["task"], request["content"], *parted(body))
            return {}, b""
        if request["do"] == "model":
            bench.make_room()
            arrays, expected, *codes = parted(body)
            line = Line(request["content"], arrays, expected)
            kernels = list(zip(codes, request["kernels"], strict=True))
            if isinstance(launcher, CudaLauncher):
                model = CudaModel(launcher, line, kernels)
            elif isinstance(launcher, LlvmLauncher):
                model = LlvmModel(launcher, line, kernels)
            return {}, b""
        if request["do"] == "measure model":
            answer = models.measure(model, line, launcher, request["measure"])
            model.close()
            return answer
        return bench.measure(request["task"], request["kernel"], body, request["caches"])

    def opened(request: dict[str, Any], libraries: list[bytes]) -> Launcher:
        if request["kind"] == "cuda":
            return CudaLauncher(request["arch"])
        return LlvmLauncher(dict(zip(request["libraries"], libraries, strict=True)), request["threads"])

    return handle


if __name__ == "__main__":
    serve(start)
