"""A convolution by torch, on a GPU through cuDNN, in fp32 without TF32: what `gpu_compare.py` compares with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

import torch

from raydgp.workloads import Conv2d, DepthwiseConv2d

_CALLS = 50


@lru_cache(maxsize=2)
def _prepared(workload: Conv2d | DepthwiseConv2d, target: str, dtype: torch.dtype) -> Callable[[], object]:
    """The layer, its algorithm chosen by trial; on a GPU many calls as one graph, so that no launch is waited for."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = "cuda" if target == "cuda" else "cpu"
    groups, co = (workload.ci, workload.ci) if isinstance(workload, DepthwiseConv2d) else (1, workload.co)
    data = torch.randn(workload.n, workload.ci, workload.h, workload.w, device=device, dtype=dtype)
    weight = torch.randn(co, workload.ci // groups, workload.kh, workload.kw, device=device, dtype=dtype)
    geometry = (workload.stride, workload.padding, workload.dilation, groups)

    def calls() -> None:
        for _ in range(_CALLS):
            torch.nn.functional.conv2d(data, weight, None, *geometry)

    calls()
    if target != "cuda":
        return calls
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        calls()

    def replay(_: object = calls) -> None:  # a graph does not keep the arrays alive that its calls read
        graph.replay()

    return replay


@torch.inference_mode()
def seconds(workload: Conv2d | DepthwiseConv2d, target: str, dtype: torch.dtype = torch.float32) -> float:
    """Seconds a call; NaN where torch sees no GPU."""
    if target == "cuda" and not torch.cuda.is_available():
        return float("nan")
    calls = _prepared(workload, target, dtype)
    if target != "cuda":
        began = time.perf_counter()
        calls()
        return (time.perf_counter() - began) / _CALLS
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    calls()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / _CALLS
