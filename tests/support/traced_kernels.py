"""Kernels without a template, as TVM's functions make them, and the same in numpy."""

from typing import Any

import numpy as np
from tvm import te, topi

from raydgp.targets import Target

# spaces of this one do not depend on the machine
TARGET = Target.from_dict({"kind": "llvm", "mcpu": "x86-64-v3", "num-cores": 2})


def array(*shape, name="x"):
    return te.placeholder(shape, name=name)


def pooled(x):
    return topi.nn.pool2d(x, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1), "max", layout="NCHW8c")


def pool_in_numpy(x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows[:, :, ::2, ::2].max(axis=(-2, -1))


def softmax_in_numpy(x):
    exp = np.exp(x - x.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def norm_in_numpy(x, scale, shift):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + shift


def unpack(x):
    return te.compute((1, 16, 13, 5), lambda n, c, h, w: x[n, c // 8, h, w, c % 8], name="unpack")


def grouped(x, weight):
    """Its input is padded, which within the sum's loops would take loops of unknown length."""
    return topi.nn.group_conv1d_ncw(x, weight, 3, 2, 1, 2, "float32")


def grouped_in_numpy(x, weight):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (2, 2))), 7, axis=2)[:, :, ::3]
    halves = zip(np.split(windows, 2, axis=1), np.split(weight, 2), strict=True)
    return np.concatenate([np.einsum("nclk,ock->nol", data, kernels) for data, kernels in halves], axis=1)


KERNELS: dict[str, Any] = {  # inputs, function of TVM's, the same in numpy
    "pool": ([array(1, 2, 9, 9, 8)], pooled, pool_in_numpy),
    "softmax": ([array(6, 48)], topi.nn.softmax, softmax_in_numpy),
    "norm": (
        [array(1, 5, 96), array(96, name="scale"), array(96, name="shift")],
        lambda x, scale, shift: topi.nn.layer_norm(x, scale, shift, [2]),
        norm_in_numpy,
    ),
    "matmul": ([array(2, 12, 16), array(2, 8, 16, name="y")], topi.nn.batch_matmul, lambda x, y: x @ y.swapaxes(1, 2)),
    "chain": (
        [array(1, 7, 30), array(1, 7, 30, name="y")],
        lambda x, y: topi.nn.relu(topi.add(topi.multiply(x, y), x)),
        lambda x, y: np.maximum(x * y + x, 0),
    ),
    "root": ([array(40)], topi.sqrt, np.sqrt),
    "mean": ([array(1, 6, 7, 8)], lambda x: topi.divide(topi.sum(x, [2, 3]), 56.0), lambda x: x.mean((2, 3))),
    "grouped": ([array(2, 6, 131), array(14, 3, 7, name="weight")], grouped, grouped_in_numpy),
    "unpack": ([array(1, 2, 13, 5, 8)], unpack, lambda x: x.transpose(0, 1, 4, 2, 3).reshape(1, 16, 13, 5)),
}


def primitive(name):
    inputs, function, _ = KERNELS[name]
    return te.create_prim_func([*inputs, function(*inputs)])
