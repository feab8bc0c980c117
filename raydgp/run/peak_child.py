"""The process that measures the peak."""

from __future__ import annotations

import sys
from typing import Any

from raydgp.sandbox.child_loop import Handle, serve
from raydgp.sandbox.messages import Message


def start() -> Handle:
    from raydgp.run.peak_kernel import reached_gflops
    from raydgp.run.threads import pin_threads

    cpus = [int(cpu) for cpu in sys.argv[2].split(",")]
    pin_threads(cpus)

    def handle(request: dict[str, Any], _: bytes) -> Message:
        return {"gflops": reached_gflops(len(cpus), sys.argv[3])}, b""

    return handle


if __name__ == "__main__":
    serve(start)
