"""`python -m raydgp.run.build_child FD`: a process that compiles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from raydgp.errors import BuildError
from raydgp.sandbox.child_loop import Handle, knobs_from_json, serve
from raydgp.sandbox.messages import Message
from raydgp.targets import Target
from raydgp.workloads import from_dict


def start() -> Handle:
    from raydgp.build.compile import compile_kernel

    def handle(request: dict[str, Any], _: bytes) -> Message:
        try:
            workload, knobs = from_dict(request["workload"]), knobs_from_json(request["knobs"])
            target = Target.from_dict(request["target"])
            kernel = compile_kernel(request["template"], workload, knobs, target, request["part"])
            found = {name: [asdict(each) for each in getattr(kernel, name)] for name in ("resources", "launches")}
            return found | {"workspaces": kernel.workspaces}, kernel.library
        except BuildError as error:
            return {"error": str(error)}, b""

    return handle


if __name__ == "__main__":
    serve(start)
