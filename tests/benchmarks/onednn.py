"""TunerResult of N configurations against the default one and torch's oneDNN, for every convolution of ResNet-18.

Each library runs in a process of its own, because thread pools that spin spoil each other's timings in one process;
their timings alternate, so that both see the same machine. Weights and inputs are packed beforehand on both sides.

    python tests/benchmarks/onednn.py --draws 64 --rounds 9 [--tasks rb1-conv1,conv0] [--run runs/NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from raydgp import config_space, zoo
from raydgp.targets import Target
from raydgp.workloads import Conv2d, from_dict

WINDOW_MS = 20  # one timing repeats the call for as long
FINALISTS = 6  # of the draws, timed again: the fastest of many single timings is a lucky one
ONEDNN = ("blocked", "channels_last", "prepacked")


# --- the two sides: each is a process that answers requests, one JSON object a line


def serve_tvm() -> dict[str, Callable[..., Any]]:
    import tvm

    from raydgp.targets.compiler import to_tvm
    from raydgp.templates.reference import random_inputs, reference
    from raydgp.templates.registry import template_for

    target = Target.here("llvm")
    loaded: dict[str, Callable[[], float]] = {}

    def load(name: str, workload: dict[str, Any], index: int) -> None:
        space = config_space(from_dict(workload), "llvm")
        template, knobs, inputs = template_for(space), space.decode(index), random_inputs(space.workload, 0)
        kernel = tvm.compile(template.schedule(space.workload, knobs, target), target=to_tvm(target)).mod
        out = tvm.runtime.empty(template.out_shape(space.workload, knobs), "float32")
        arrays = [*(tvm.runtime.tensor(a) for a in template.pack(space.workload, knobs, inputs)), out]
        kernel["main"](*arrays)
        expected = reference(space.workload, inputs)
        error = np.abs(template.unpack(space.workload, knobs, out.numpy()) - expected).max() / np.abs(expected).max()
        assert error < 1e-4, f"wrong answer of {knobs}"
        timer = kernel.time_evaluator("main", tvm.cpu(), number=1, repeat=1, min_repeat_ms=WINDOW_MS)
        loaded[name] = lambda: float(timer(*arrays).mean)

    def search(workload: dict[str, Any], draws: int, seed: int) -> int:
        space = config_space(from_dict(workload), "llvm")
        seconds = {}
        for index in map(int, space.sample_valid(draws, np.random.default_rng(seed))):
            load("draw", workload, index)
            seconds[index] = min(loaded["draw"]() for _ in range(2))
        finalists = sorted(seconds, key=seconds.__getitem__)[:FINALISTS]
        for index in finalists:
            load(f"draw {index}", workload, index)
        again = {i: median(loaded[f"draw {i}"]() for _ in range(5)) for i in finalists}
        return min(again, key=again.__getitem__)

    return {"load": load, "search": search, "time": lambda name: loaded[name]()}


def serve_torch() -> dict[str, Callable[..., Any]]:
    import torch

    torch.set_num_threads(int(os.environ["TVM_NUM_THREADS"]))
    torch.set_grad_enabled(False)
    loaded: dict[str, Callable[[], float]] = {}

    # the loops are compiled, as TVM's are, and not optimised: an optimiser would drop calls whose result is not used
    @torch.jit.script
    def packed(x: torch.Tensor, w: torch.Tensor, p: list[int], s: list[int], d: list[int], n: int):
        y = x
        for _ in range(n):
            y = torch.mkldnn_convolution(x, w, None, p, s, d, 1)
        return y

    @torch.jit.script
    def plain(x: torch.Tensor, w: torch.Tensor, p: list[int], s: list[int], d: list[int], n: int):
        y = x
        for _ in range(n):
            y = torch.conv2d(x, w, None, s, p, d, 1)
        return y

    @torch.jit.script
    def fused(x: torch.Tensor, w: torch.Tensor, p: list[int], s: list[int], d: list[int], n: int):
        y = x
        for _ in range(n):
            y = torch.ops.mkldnn._convolution_pointwise(x, w, None, p, s, d, 1, "none", [], "")
        return y

    def load(workload: dict[str, Any]) -> None:
        w: Any = from_dict(workload)
        geometry = (list(w.padding), list(w.stride), list(w.dilation))
        data, weight = torch.randn(w.n, w.ci, w.h, w.w), torch.randn(w.co, w.ci, w.kh, w.kw)
        last: dict[str, Any] = {"memory_format": torch.channels_last}
        shape = list(data.shape)
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its stub knows fewer arguments
        variants = {
            "blocked": (
                packed,
                data.to_mkldnn(),
                reorder(weight.to_mkldnn(), *geometry, 1, shape),
            ),
            "channels_last": (plain, data.to(**last), weight.to(**last)),
            "prepacked": (
                fused,
                data.to(**last),
                torch.ops.mkldnn._reorder_convolution_weight(weight.to(**last), *geometry, 1, shape),
            ),
        }
        for name, (loop, x, packed_weight) in variants.items():
            loaded[name] = _timer(lambda n, loop=loop, x=x, w=packed_weight: loop(x, w, *geometry, n))  # type: ignore[misc]

    def _timer(run: Callable[[int], Any]) -> Callable[[], float]:
        def seconds(calls: int) -> float:
            with torch.jit.optimized_execution(False):
                start = time.perf_counter()
                run(calls)
                return (time.perf_counter() - start) / calls

        seconds(3)
        calls = max(1, round(WINDOW_MS / 1e3 / seconds(5)))
        return lambda: seconds(calls)

    return {"load": load, "time": lambda name: loaded[name]()}


def serve(side: str) -> None:
    """Answers requests on standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    functions = {"tvm": serve_tvm, "torch": serve_torch}[side]()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(functions[name](**arguments)), file=answers)


class Side:
    """The other end of `serve`."""

    def __init__(self, name: str, threads: int) -> None:
        command = [sys.executable, __file__, "--serve", name]
        environment = os.environ | {"TVM_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)

    def __call__(self, function: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([function, arguments]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{function} {arguments}: the process ended")
        return json.loads(line)


# --- the comparison


def best_of_run(folder: Path, workload: Conv2d) -> int:
    """The fastest configuration a run measured for a workload."""
    from raydgp.records import journal
    from raydgp.records.history import known

    space = config_space(workload, "llvm")
    measured = known(journal.read(folder / "journal.jsonl"), space.hash)
    return min(measured, key=lambda index: measured[index].median_s)


def compare(tvm: Side, torch: Side, workload: Conv2d, best: int, rounds: int) -> dict[str, float]:
    """GFLOPS by contestant: medians of alternating timings."""
    described = workload.to_dict()
    tvm("load", name="default", workload=described, index=config_space(workload, "llvm").default)
    tvm("load", name="best", workload=described, index=best)
    torch("load", workload=described)
    contestants = [(tvm, "default"), (tvm, "best"), *((torch, layout) for layout in ONEDNN)]
    seconds: dict[str, list[float]] = {name: [] for _, name in contestants}
    for _ in range(rounds):
        for side, name in contestants:
            time.sleep(0.01)  # the other side's threads have gone to sleep by then
            seconds[name].append(side("time", name=name))
    return {name: workload.flops / median(values) / 1e9 for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help="names, separated by commas; all by default")
    parser.add_argument("--draws", type=int, default=64, help="random valid configurations measured for each layer")
    parser.add_argument("--run", type=Path, help="take the best configurations from this run of `raydgp tune` instead")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--rounds", type=int, default=9, help="alternating timings of each contestant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", choices=["tvm", "torch"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)

    wanted = options.tasks.split(",") if options.tasks else None
    layers = [
        t for t in zoo.tasks(options.model) if isinstance(t.workload, Conv2d) and (not wanted or t.name in wanted)
    ]
    tvm, torch = Side("tvm", options.threads), Side("torch", options.threads)
    print("layer         default    best  blocked  ch.last prepacked  best/default  best/oneDNN   knobs")
    gains, ratios = [], []
    for name, workload, _ in layers:
        if options.run:
            best = best_of_run(options.run, workload)
        else:
            best = tvm("search", workload=workload.to_dict(), draws=options.draws, seed=options.seed)
        gflops = compare(tvm, torch, workload, best, options.rounds)
        gains.append(gflops["best"] / gflops["default"])
        ratios.append(gflops["best"] / max(gflops[layout] for layout in ONEDNN))
        columns = "".join(f"{value:9.0f}" for value in gflops.values())
        knobs = " ".join(str(v).replace(" ", "") for v in config_space(workload, "llvm").decode(best).values())
        print(f"{name:12s}{columns}{gains[-1]:13.2f}{ratios[-1]:13.2f}   {knobs}", flush=True)
    print(f"geometric mean: best/default {geometric_mean(gains):.2f}, best/oneDNN {geometric_mean(ratios):.2f}")
    print(f"lowest best/oneDNN: {min(ratios):.2f}")
    return None


if __name__ == "__main__":
    main()
