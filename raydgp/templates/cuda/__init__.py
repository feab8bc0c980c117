"""The papers' templates for NVIDIA GPUs, and ours for tensor cores; importing it registers them, without TVM."""

from raydgp.templates.cuda import (
    conv2d_space,
    dense_space,
    depthwise_space,
    group_conv2d_space,
    tensor_core_space,
    winograd_space,
)

__all__ = [
    "conv2d_space",
    "dense_space",
    "depthwise_space",
    "group_conv2d_space",
    "tensor_core_space",
    "winograd_space",
]
