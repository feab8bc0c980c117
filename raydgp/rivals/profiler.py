"""`python -m raydgp.rivals.profiler FD FOLDER`: the kernels of a deployed model, timed on request."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raydgp.errors import RaydgpError
from raydgp.models.folder import Library
from raydgp.models.profiling import Spent, profile
from raydgp.run.bandwidth import bandwidth_gb_s
from raydgp.sandbox.child_loop import Handle, serve
from raydgp.sandbox.messages import Message
from raydgp.sandbox.process import Child
from raydgp.targets import Target

_TIMEOUT_S = 900.0


def profiled(folder: Path, runs: int, threads: int) -> tuple[list[Spent], float | None]:
    """The kernels of a deployed model, in a process of its own, and what memory gives there, in 10^9 bytes a second.

    Args:
        runs: calls of the model.
        threads: of the host.

    Returns:
        The bandwidth is None where the model runs on no processor.

    Raises:
        RaydgpError: the model does not run.
    """
    child = Child("raydgp.rivals.profiler", [str(folder)], {"TVM_NUM_THREADS": str(threads)})
    try:
        child.wait_ready()
        answer, _ = child.call({"runs": runs}, b"", _TIMEOUT_S)
    finally:
        child.kill()
    if "kernels" not in answer:
        raise RaydgpError(f"the model cannot be profiled: {answer['error']}")
    return [Spent(**kernel) for kernel in answer["kernels"]], answer["gb_s"]


def start() -> Handle:
    library = Library(Path(sys.argv[2]))
    target = Target.of(library.manifest["target"])

    def handle(request: dict[str, Any], body: bytes) -> Message:
        kernels = [asdict(spent) for spent in profile(library, request["runs"])]
        gb_s = bandwidth_gb_s(target) if target.behaviour.on_processors else None
        return {"kernels": kernels, "gb_s": gb_s}, b""

    return handle


if __name__ == "__main__":
    serve(start)
