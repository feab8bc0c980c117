"""Small bundles, written member by member: also such as `raydgp bundle make` never makes."""

import hashlib
import json
import lzma
import subprocess
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from raydgp import Dense
from raydgp.bundle.inputs import logical_inputs
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from tests.support.hostile_kernels import hostile
from tests.support.processes import environment, start_python

QUICK = MeasureSettings(min_repeat_ms=1, run_timeout_s=2.0)
LIBRARIES = {
    "libtvm_ffi.so": Path(tvm_ffi.__file__).parent / "lib/libtvm_ffi.so",
    "libtvm_runtime.so": Path(tvm.__file__).parent / "lib/libtvm_runtime.so",
}


@dataclass
class Kernels:
    """A task and its kernels: what `bundle` makes members of.

    Attributes:
        lines: machine code and what else a kernel's line says.
    """

    name: str
    workload: Any
    layouts: list[list[Any]] = field(default_factory=list)
    lines: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    default: int | None = 0

    def layout(self, steps: Any) -> int:
        """Number of a layout, added where it is new."""
        wanted = json.loads(json.dumps(steps))
        if wanted not in self.layouts:
            self.layouts.append(wanted)
        return self.layouts.index(wanted)

    def add(self, code: bytes, layouts: Any, out: Any, out_shape: Any, index: int | None = None, **more: Any) -> None:
        """A kernel, whose layouts are steps."""
        line = {
            "index": len(self.lines) if index is None else index,
            "knobs": {},
            "origin": "draw",
            "status": "ok",
            "error": "",
            "build_s": 0.0,
            "layouts": [self.layout(steps) for steps in layouts],
            "out": self.layout(out),
            "out_shape": list(out_shape),
            "out_dtype": "float32",
        }
        self.lines.append((code, {**line, **more}))


def bundle(
    path: Path,
    tasks: list[Kernels],
    target: Target,
    measure: MeasureSettings = QUICK,
    caches: tuple[str, ...] = ("warm",),
    threads: int | None = 1,
    sampled: Callable[[int], Any] = lambda size: np.arange(min(size, 16384)) * size // min(size, 16384),
) -> Path:
    """Writes a bundle.

    Args:
        sampled: positions of an output of this size that the bundle has the reference of.
    """
    header: dict[str, Any] = {
        "format": 1,
        "made_unix_s": time.time(),
        "versions": {},
        "target": target.to_dict(),
        "kind": target.kind,
        "threads": threads,
        "measure": measure.model_dump(),
        "caches": list(caches),
        "tasks": [],
        "runtime": {},
    }
    codes: dict[str, Any] = {}
    with zipfile.ZipFile(path, "w") as file:
        for number, task in enumerate(tasks):
            lines, block = [], b""
            for code, line in task.lines:
                digest = hashlib.sha256(code).hexdigest()
                if digest not in codes:
                    codes[digest] = {"block": number, "offset": len(block), "size": len(code)}
                    block += code
                lines.append({**line, "code": digest})
            file.writestr(f"blocks/{number}.xz", lzma.compress(block))
            folder = f"tasks/{number}"
            file.writestr(f"{folder}/kernels.jsonl.xz", _packed(lines))
            file.writestr(f"{folder}/expected.xz", lzma.compress(_expected(task.workload, sampled)))
            header["tasks"].append(
                {
                    "name": task.name,
                    "workload": task.workload.to_dict(),
                    "template": "test",
                    "space_hash": "",
                    "flops": 1,
                    "inputs": [list(shape) for shape in task.workload.input_shapes],
                    "output": list(task.workload.output_shape),
                    "default": task.default,
                    "expected": f"{folder}/expected.xz",
                    "layouts": task.layouts,
                    "kernels": f"{folder}/kernels.jsonl.xz",
                    "count": len(lines),
                }
            )
        if target.kind == "llvm":
            for name, source in LIBRARIES.items():
                file.writestr(f"runtime/{name}.xz", lzma.compress(source.read_bytes(), preset=0))
                header["runtime"][name] = f"runtime/{name}.xz"
        file.writestr("codes.jsonl.xz", _packed([{"code": name, **place} for name, place in codes.items()]))
        file.writestr("bundle.json", json.dumps(header))
    return path


def results(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Header, measurements and anchors of a file of results."""
    header, *lines = map(json.loads, path.read_text().splitlines())
    return header, [line for line in lines if "task" in line], [line for line in lines if "anchor" in line]


def _expected(workload: Any, sampled: Callable[[int], Any]) -> bytes:
    flat = workload.reference(*logical_inputs(workload.input_shapes)).ravel()
    positions = sampled(flat.size).astype("<i8")
    return positions.tobytes() + flat[positions].astype("<f4").tobytes()


def _packed(lines: list[Any]) -> bytes:
    return lzma.compress("".join(json.dumps(line) + "\n" for line in lines).encode())


def hostile_tasks(*bodies: list[str], elements: int = 1) -> list[Kernels]:
    """Tasks of kernels whose bodies are C (see hostile_kernels): out[i] = data[0] * weight[i] is right."""
    tasks = []
    for number, own in enumerate(bodies):
        task = Kernels(f"task{number}", Dense(n=1, k=1, m=elements))
        for body in own:
            task.add(hostile(body), [[], []], [], (1, elements))
        tasks.append(task)
    return tasks


def start(path: Path, out: Path, minutes: float, variables: Mapping[str, str] = {}) -> "subprocess.Popen[str]":
    """The runner in a process of its own."""
    command = ["-m", "raydgp.bundle.runner", str(path), "--out", str(out), "--minutes", str(minutes)]
    return start_python(*command, stderr=subprocess.PIPE, env=environment(**variables))


def run(path: Path, out: Path, minutes: float = 1, variables: Mapping[str, str] = {}) -> tuple[int, str]:
    """Runs it to its end; its exit code and what it said on standard error."""
    process = start(path, out, minutes, variables)
    _, said = process.communicate(timeout=60 * minutes + 60)
    return process.returncode, said
