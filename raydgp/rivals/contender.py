"""`python -m raydgp.rivals.contender FD WAY SOURCE TARGET THREADS`: one way to run a model, timed on request."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from raydgp.models.accuracy import largest_error
from raydgp.rivals import held
from raydgp.rivals.ways import make
from raydgp.sandbox.child_loop import Handle, allow_torch, serve
from raydgp.sandbox.messages import Message


def start() -> Handle:
    way, source, target, threads = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
    os.environ.update(held.environment(target, way))
    allow_torch()
    run, flat, expected = make(way, source, target, threads)
    error = largest_error(flat(run()), expected)
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


if __name__ == "__main__":
    serve(start)
