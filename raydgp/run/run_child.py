"""`python -m raydgp.run.run_child FD CPUS`: the process that loads and times kernels."""

from __future__ import annotations

import math
import sys
from typing import Any

from raydgp.sandbox.child_loop import Handle, knobs_from_json, serve
from raydgp.sandbox.messages import Message
from raydgp.settings import MeasureSettings
from raydgp.targets import kind_named
from raydgp.workloads import from_dict


def start() -> Handle:
    cpus = [int(cpu) for cpu in sys.argv[2].split(",")]
    from raydgp.run import timing
    from raydgp.run.disturbance import LIMIT
    from raydgp.run.hopeless import SLOWER
    from raydgp.run.threads import pin_threads

    def handle(request: dict[str, Any], library: bytes) -> Message:
        workload = from_dict(request["workload"])
        if "knobs" not in request:
            if kind_named(request["kind"]).on_processors:  # the runners of several GPUs must not share one processor
                pin_threads(cpus)
            timing.case(workload, request["template"])
            return {}, b""
        knobs, settings = knobs_from_json(request["knobs"]), MeasureSettings(**request["settings"])
        best_s = request["best_s"] or math.inf
        found = timing.measure(
            library, request["template"], workload, knobs, request["kind"], settings, SLOWER * best_s
        )
        # At once, while clocks are still those of the load; before the timing they would be those of an idle device.
        now = kind_named(request["kind"]).conditions()
        if found.waited > LIMIT:
            now["waited"] = found.waited
        if len(found.times_s) < settings.repeat and found.times_s:
            now["slower"] = found.times_s[0] / best_s
        return {"status": found.status, "times_s": found.times_s, "error": found.error, "conditions": now}, b""

    return handle


if __name__ == "__main__":
    serve(start)
