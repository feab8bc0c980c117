"""What is tuned: one operator with its shapes, and the papers' networks as tables of them."""

from raydgp.workloads import zoo
from raydgp.workloads.fused import Fused
from raydgp.workloads.kernel import Kernel
from raydgp.workloads.ops import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, Workload
from raydgp.workloads.serial import from_dict

__all__ = ["Conv2d", "Dense", "DepthwiseConv2d", "Fused", "GroupConv2d", "Kernel", "Workload", "from_dict", "zoo"]
