"""What is tuned: one operator with its shapes, and the papers' networks as tables of them."""

from raydgp.workloads import zoo
from raydgp.workloads.base import Workload, from_dict
from raydgp.workloads.fused import Fused
from raydgp.workloads.ops import Conv2d, Dense, DepthwiseConv2d, GroupConv2d
from raydgp.workloads.parametric import Parametric
from raydgp.workloads.task import Task
from raydgp.workloads.traced import TracedKernel

__all__ = [
    "Conv2d",
    "Dense",
    "DepthwiseConv2d",
    "Fused",
    "GroupConv2d",
    "Parametric",
    "Task",
    "TracedKernel",
    "Workload",
    "from_dict",
    "zoo",
]
