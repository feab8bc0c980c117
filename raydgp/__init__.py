"""raydgp: a Ray-based scalable tuner for DNN kernels on Apache TVM."""

from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, zoo

__version__ = "0.1.0"
__all__ = ["Conv2d", "Dense", "DepthwiseConv2d", "GroupConv2d", "config_space", "zoo"]
