"""Operators for the CUDA templates: shapes of every kind, and their kernels on the fibres of cuda_emulator."""

from typing import Any

import numpy as np

from raydgp import Conv2d, Dense, DepthwiseConv2d, GroupConv2d
from raydgp.build.cuda.launches import launches_of
from raydgp.build.cuda.library import cuda_source
from raydgp.build.cuda.source import quick
from raydgp.targets import Target
from raydgp.workloads import Fused
from tests.support.cuda_emulator import compile_emulated

CUDA = Target.named("cuda/sm_80")
SAME: dict[str, Any] = {"kh": 3, "kw": 3, "padding": (1, 1)}
SHAPES: dict[str, Any] = {
    "stride and batch": Conv2d(n=2, ci=8, h=11, w=9, co=16, stride=(2, 2), **SAME),
    "uneven": Conv2d(n=1, ci=3, h=17, w=23, co=13, kh=5, kw=3, stride=(2, 1), padding=(2, 0)),
    "dilation": Conv2d(n=1, ci=24, h=12, w=10, co=20, kh=3, kw=3, padding=(2, 2), dilation=(2, 2)),
    "1x1 stride 2": Conv2d(n=1, ci=64, h=14, w=14, co=64, kh=1, kw=1, stride=(2, 2)),
    "prime channels": Conv2d(n=1, ci=67, h=5, w=5, co=71, kh=1, kw=1),
    "wide padding": Conv2d(n=1, ci=4, h=1, w=1, co=1, kh=3, kw=3, padding=(3, 2)),
    "depthwise": DepthwiseConv2d(n=2, ci=24, h=15, w=13, **SAME),
    "depthwise uneven": DepthwiseConv2d(n=1, ci=7, h=15, w=13, kh=5, kw=3, stride=(2, 1), dilation=(1, 2)),
    "groups": GroupConv2d(n=2, ci=12, h=13, w=11, co=18, groups=3, stride=(2, 1), **SAME),
    "groups uneven": GroupConv2d(n=3, ci=15, h=9, w=7, co=10, kh=3, kw=1, groups=5, padding=(0, 2), dilation=(2, 1)),
    "dense one row": Dense(n=1, k=128, m=100),
    "dense few rows": Dense(n=3, k=77, m=10),
    "dense": Dense(n=64, k=96, m=128),
    "dense primes": Dense(n=37, k=29, m=67),
}
SHAPES = {name: (workload, "direct") for name, workload in SHAPES.items()} | {
    "winograd of 2": (Conv2d(n=2, ci=12, h=13, w=11, co=18, **SAME), "winograd"),
    "winograd of 4": (Conv2d(n=1, ci=10, h=8, w=13, co=12, kh=3, kw=3), "winograd"),
    "winograd beyond the edge": (Conv2d(n=2, ci=4, h=8, w=6, co=48, **SAME), "winograd"),
    "winograd 5x5": (Conv2d(n=1, ci=3, h=9, w=7, co=5, kh=5, kw=5, padding=(2, 1)), "winograd"),
}
FUSED = {
    "alone": Fused(anchor=SHAPES["1x1 stride 2"][0]),
    "bias": Fused(anchor=SHAPES["uneven"][0], epilogue=("bias",)),
    "bias, residual, relu": Fused(anchor=SHAPES["stride and batch"][0], epilogue=("bias", "add", "relu")),
    "relu6, residual, bias": Fused(anchor=SHAPES["dilation"][0], epilogue=("relu6", "add", "bias")),
    "depthwise": Fused(anchor=SHAPES["depthwise uneven"][0], epilogue=("bias", "relu6")),
    "groups": Fused(anchor=SHAPES["groups"][0], epilogue=("bias", "add", "relu")),
    "dense one row": Fused(anchor=SHAPES["dense one row"][0], epilogue=("bias", "relu")),
    "dense few rows": Fused(anchor=SHAPES["dense few rows"][0], epilogue=("bias", "add", "relu6")),
    "dense": Fused(anchor=SHAPES["dense"][0], epilogue=("bias", "relu", "add")),
    "dense primes": Fused(anchor=SHAPES["dense primes"][0], epilogue=("add",)),
    "winograd": Fused(anchor=SHAPES["winograd of 2"][0], epilogue=("bias", "add", "relu"), algorithm="winograd"),
    "winograd of 4": Fused(anchor=SHAPES["winograd of 4"][0], epilogue=("bias", "relu6"), algorithm="winograd"),
}
SHAPES |= {f"fused, {name}": (workload, "direct") for name, workload in FUSED.items()}
TENSOR_CORES = {
    "tensor cores": (Conv2d(n=2, ci=24, h=7, w=9, co=40, **SAME), "tensor_core"),
    "tensor cores uneven": (
        Conv2d(n=3, ci=5, h=11, w=8, co=19, kh=5, kw=3, stride=(2, 1), padding=(2, 0), dilation=(1, 2)),
        "tensor_core",
    ),
    "tensor cores 1x1": (Conv2d(n=1, ci=33, h=9, w=9, co=70, kh=1, kw=1, stride=(2, 2)), "tensor_core"),
    "tensor cores dense": (Dense(n=64, k=96, m=128), "tensor_core"),
    "tensor cores dense primes": (Dense(n=37, k=29, m=67), "tensor_core"),
    "tensor cores dense one row": (Dense(n=1, k=200, m=10), "tensor_core"),
}


def emulated(module, folder, change=lambda source: source):
    """Runs a scheduled module: its arrays in order, and whether threads take turns in reverse."""
    source = cuda_source(module, CUDA)
    launches, workspaces = launches_of(module, source)
    compiled, _ = quick(source)  # what is compiled for a GPU
    run = compile_emulated(change(compiled), launches, folder)

    def kernel(arrays, reverse):
        run([*arrays, *(np.full(size // 4, np.nan, np.float32) for size in workspaces)], reverse)

    return kernel
