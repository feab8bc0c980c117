"""The operators as TVM's library computes them: what `Workload.plain` names."""

from __future__ import annotations

from tvm import te, topi

from raydgp.workloads.ops import Convolution, Dense


def convolution(workload: Convolution, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
    """Any of the two-dimensional convolutions, on NCHW and OIHW arrays."""
    geometry = (workload.stride, workload.padding, workload.dilation)
    return topi.nn.conv(data, weight, *geometry, workload.convolution_groups, "NCHW", "OIHW")


def dense(workload: Dense, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
    """The product of [n, k] and [m, k] transposed."""
    return topi.nn.dense(data, weight)
