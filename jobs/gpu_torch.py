"""The networks of `plans/gpu_models.yaml` by torch on this machine's GPU, in the ways that its users have.

    python jobs/gpu_torch.py --out gpu_torch.csv

A row a network, type and way: eager, channels_last, compiled, and the first two replayed as CUDA graphs, in float32
without TF32 and in float16. All ways of a network are timed in turns by the device's clock. TVM is not needed: torch,
pandas and the package `lazy_loader` are, with this repository on PYTHONPATH. `--device cpu` tries it without a GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from raydgp.models.networks import NETWORKS, network, resnet50, transformer_block

MODELS = [*NETWORKS, "resnet50", "transformer_block"]
WAYS = ("eager", "channels_last", "compiled", "graph", "channels_last graph")
_ROUND = 20  # timed calls of a way before it is the next one's turn
_WARM_UP = 5  # calls, in which cuDNN chooses its algorithms; a graph cannot be recorded before

Run = Callable[[], torch.Tensor]


def made(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    others: dict[str, Any] = {"resnet50": resnet50, "transformer_block": transformer_block}
    module, (data,) = others[name]() if name in others else network(name)
    return module, data


def way_of(way: str, module: Any, data: Any) -> Run:
    """A call of the model on the device; a graph computes on the data that was there when it was recorded."""
    if way.startswith("channels_last"):
        module = module.to(memory_format=torch.channels_last)
        data = data.to(memory_format=torch.channels_last) if data.ndim == 4 else data
    if way == "compiled":
        module = torch.compile(module)
    for _ in range(_WARM_UP):
        module(data)
    if not way.endswith("graph"):
        return lambda: module(data)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = module(data)

    def replay() -> torch.Tensor:
        graph.replay()
        return out

    return replay


def seconds(run: Run, calls: int, on_gpu: bool) -> list[float]:
    """Of each call, by events around it on a GPU, none of which the host waits for before the last."""
    if not on_gpu:
        times = []
        for _ in range(calls):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        return times
    events = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    events[-1].synchronize()
    return [1e-3 * begin.elapsed_time(end) for begin, end in pairwise(events)]


@torch.inference_mode()
def compared(name: str, device: str, runs: int, ways: list[str]) -> pd.DataFrame:
    """All ways of a network in both types; what cannot be run has its error in place of its time."""
    module, data = made(name)
    expected = module(data)
    found: dict[tuple[str, str], Run] = {}
    errors: dict[tuple[str, str], str] = {}
    rows: list[dict[str, Any]] = []
    for dtype in (torch.float32, torch.float16):
        for way in ways:
            key = (str(dtype).removeprefix("torch."), way)
            try:
                fresh, given = made(name)
                found[key] = way_of(way, fresh.to(device, dtype), given.to(device, dtype))
            except Exception as error:  # torch's and its compiler's share no narrower base
                errors[key] = (str(error).splitlines() or ["no message"])[0]
    times: dict[tuple[str, str], list[float]] = {key: [] for key in found}
    while found and len(min(times.values(), key=len)) < runs:
        for key, run in found.items():
            seconds(run, _WARM_UP, device == "cuda")
            times[key] += seconds(run, min(_ROUND, runs - len(times[key])), device == "cuda")
    for key, each in times.items():
        off = float((found[key]().float().cpu() - expected).abs().max() / expected.abs().max())
        ms = 1e3 * pd.Series(each)
        rows.append({"dtype": key[0], "way": key[1], "median_ms": ms.median(), "variance_ms2": ms.var(), "error": off})
    rows += [{"dtype": dtype, "way": way, "failed": text} for (dtype, way), text in errors.items()]
    return pd.DataFrame(rows).assign(network=name, runs=runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=MODELS, default=MODELS, metavar="NETWORK")
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("gpu_torch.csv"))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no NVIDIA GPU here that torch can use; --device cpu tries this job without one", file=sys.stderr)
        return 2
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # shapes are fixed: cuDNN's fastest algorithm, not its first guess
    ways = [way for way in WAYS if given.device == "cuda" or not way.endswith("graph")]
    tables = []
    for name in given.networks:
        tables.append(compared(name, given.device, given.runs, ways))
        pd.concat(tables).to_csv(given.out, index=False)
        print(tables[-1].to_string(index=False, float_format="{:.5g}".format), flush=True)
    print(f"Results: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
