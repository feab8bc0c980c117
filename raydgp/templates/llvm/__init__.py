"""Our templates for processors; importing it registers them, without TVM."""

from raydgp.templates.llvm import conv2d_space, dense_space, depthwise_space, group_conv2d_space, winograd_space

__all__ = ["conv2d_space", "dense_space", "depthwise_space", "group_conv2d_space", "winograd_space"]
