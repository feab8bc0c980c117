"""What a CUDA candidate costs on one core, schedule to library, on random valid configurations of the papers' layers.

`python tests/benchmarks/cuda_build.py [candidates a layer] [arch]` prints, for each operator, the median, mean and 90th
percentile seconds of each phase and of the whole. No GPU is needed.
"""

import sys
import time

import numpy as np

sys.modules["torch"] = None  # type: ignore[assignment]  # tvm_ffi would import it

from raydgp import Conv2d, Dense, GroupConv2d, config_space, zoo
from raydgp.build.cuda import library as cuda_build
from raydgp.build.cuda.compiler import compile_source, compiler_for
from raydgp.targets import Target
from raydgp.templates.registry import template_for

CANDIDATES = int(sys.argv[1]) if len(sys.argv) > 1 else 10
ARCH = sys.argv[2] if len(sys.argv) > 2 else "sm_90"
TARGET = Target.named(f"cuda/{ARCH}")
RESNET = {task.name: task.workload for task in zoo.tasks("resnet18")}
LAYERS = [
    *((name, RESNET[name], "direct") for name in list(RESNET)[:3]),
    ("winograd of 2", RESNET["rb4-conv2"], "winograd"),
    ("winograd of 4", RESNET["rb1-conv1"], "winograd"),
    ("depthwise", zoo.tasks("mobilenet_v1")[5].workload, "direct"),
    ("groups", GroupConv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, padding=(1, 1), groups=32), "direct"),
    ("dense n=1", Dense(n=1, k=512, m=1000), "direct"),
    ("dense n=64", Dense(n=64, k=1024, m=1024), "direct"),
    ("tensor cores", next(w for w in RESNET.values() if isinstance(w, Conv2d) and w.kh == 3), "tensor_core"),
    ("dense tensor", Dense(n=64, k=1024, m=1024), "tensor_core"),
]


def main() -> None:
    everything = []
    print(f"{compiler_for(ARCH)}, {ARCH}, {CANDIDATES} candidates a layer; seconds: median / mean / 90th percentile")
    for name, workload, algorithm in LAYERS:
        space = config_space(workload, "cuda", algorithm)
        template = template_for(space)
        rows = []
        cuda_build.cuda_library(template.schedule(workload, space.decode(space.default), TARGET), TARGET)  # warm
        for index in space.sample_valid(CANDIDATES, np.random.default_rng(0)).tolist():
            begin = time.perf_counter()
            module = template.schedule(workload, space.decode(index), TARGET)
            scheduled = time.perf_counter()
            source = cuda_build.cuda_source(module, TARGET)
            generated = time.perf_counter()
            compile_source(source, ARCH)
            compiled = time.perf_counter()
            cuda_build.cuda_library(module, TARGET)
            whole = time.perf_counter() - compiled + scheduled - begin
            rows.append([scheduled - begin, generated - scheduled, compiled - generated, whole])
        everything += rows
        report(name, rows)
    report("all", everything)
    each = np.array(everything)[:, 3]
    within = np.mean(each <= 0.25)
    print(f"a candidate: mean {each.mean():.2f} s, median {np.median(each):.2f} s; {within:.0%} in 0.25 s")


def report(name: str, rows: list[list[float]]) -> None:
    table = np.array(rows)
    parts = [
        f"{phase} {np.median(column):.3f} / {column.mean():.3f} / {np.quantile(column, 0.9):.3f}"
        for phase, column in zip(("schedule", "lower", "cubin", "whole"), table.T, strict=True)
    ]
    print(f"{name:14}", "  ".join(parts), flush=True)


if __name__ == "__main__":
    main()
