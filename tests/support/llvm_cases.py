"""Operators for the CPU templates: shapes of every kind."""

from typing import Any

from raydgp import Conv2d, Dense, DepthwiseConv2d, GroupConv2d
from raydgp.workloads import Fused

SAME: dict[str, Any] = {"kh": 3, "kw": 3, "padding": (1, 1)}
SHAPES = {
    "13x13": Conv2d(n=1, ci=16, h=13, w=13, co=32, **SAME),
    "stride and batch": Conv2d(n=2, ci=8, h=11, w=9, co=16, stride=(2, 2), **SAME),
    "uneven": Conv2d(n=1, ci=3, h=17, w=23, co=13, kh=5, kw=3, stride=(2, 1), padding=(2, 0)),
    "dilation": Conv2d(n=1, ci=24, h=12, w=10, co=20, kh=3, kw=3, padding=(2, 2), dilation=(2, 2)),
    "1x1 stride 2": Conv2d(n=1, ci=64, h=14, w=14, co=64, kh=1, kw=1, stride=(2, 2)),
    "prime channels": Conv2d(n=1, ci=67, h=5, w=5, co=71, kh=1, kw=1),
    "wide padding": Conv2d(n=1, ci=4, h=1, w=1, co=1, kh=3, kw=3, padding=(3, 2)),
    "first layer": Conv2d(n=1, ci=3, h=31, w=31, co=64, kh=7, kw=7, stride=(2, 2), padding=(3, 3)),
    "depthwise": DepthwiseConv2d(n=2, ci=48, h=15, w=13, **SAME),
    "depthwise stride 2": DepthwiseConv2d(n=1, ci=64, h=14, w=14, stride=(2, 2), **SAME),
    "depthwise uneven": DepthwiseConv2d(n=1, ci=7, h=15, w=13, kh=5, kw=3, stride=(2, 1), dilation=(1, 2)),
    "groups": GroupConv2d(n=1, ci=48, h=9, w=8, co=72, groups=3, stride=(2, 1), **SAME),
    "dense": Dense(n=16, k=64, m=96),
    "dense one row": Dense(n=1, k=128, m=1000),
    "dense primes": Dense(n=37, k=29, m=67),
    "fused, plain data": Fused(
        anchor=Conv2d(n=2, ci=3, h=15, w=13, co=32, stride=(2, 2), **SAME), epilogue=("bias", "relu"), block_out=32
    ),
    "fused with residual": Fused(
        anchor=Conv2d(n=1, ci=64, h=9, w=7, co=48, **SAME),
        epilogue=("bias", "add", "relu"),
        block_in=32,
        block_out=16,
    ),
    "fused, blocks not full": Fused(
        anchor=Conv2d(n=1, ci=16, h=5, w=5, co=1000, kh=1, kw=1), epilogue=("bias",), block_in=16, block_out=16
    ),
    "fused depthwise": Fused(
        anchor=DepthwiseConv2d(n=1, ci=64, h=9, w=9, **SAME), epilogue=("bias", "relu6"), block_in=32, block_out=32
    ),
    "fused groups": Fused(
        anchor=GroupConv2d(n=1, ci=64, h=9, w=7, co=64, groups=2, **SAME),
        epilogue=("bias", "relu"),
        block_in=8,
        block_out=16,
    ),
    "fused winograd": Fused(
        anchor=Conv2d(n=2, ci=32, h=15, w=13, co=40, **SAME),
        epilogue=("bias", "add", "relu"),
        block_in=16,
        block_out=8,
        algorithm="winograd",
    ),
    "fused dense": Fused(anchor=Dense(n=3, k=64, m=100), epilogue=("bias", "relu", "add")),
}
WINOGRAD = {
    "winograd": Conv2d(n=1, ci=16, h=28, w=28, co=32, **SAME),
    "winograd without padding": Conv2d(n=2, ci=8, h=14, w=31, co=16, kh=3, kw=3),
    "winograd 5x5": Conv2d(n=1, ci=16, h=13, w=14, co=16, kh=5, kw=5, padding=(2, 2)),
    "winograd, uneven channels": Conv2d(n=1, ci=5, h=13, w=9, co=19, kh=3, kw=3, padding=(2, 0)),
}
