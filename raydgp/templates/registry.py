"""Which template gives a space its meaning."""

from __future__ import annotations

from typing import Any

from raydgp.errors import InputError
from raydgp.space import ConfigSpace
from raydgp.templates.base import Template
from raydgp.templates.cuda.conv2d import DirectConv2d
from raydgp.templates.cuda.dense import LargeBatchDense, SmallBatchDense
from raydgp.templates.cuda.depthwise import DirectDepthwiseConv2d
from raydgp.templates.cuda.group_conv2d import DirectGroupConv2d
from raydgp.templates.cuda.tensor_core import TensorCore
from raydgp.templates.cuda.winograd import WinogradConv2d
from raydgp.templates.llvm.conv2d import PackedConv2d
from raydgp.templates.llvm.dense import PackedDense
from raydgp.templates.llvm.depthwise import PackedDepthwiseConv2d
from raydgp.templates.llvm.winograd import PackedWinograd
from raydgp.templates.plain import Given, Plain
from raydgp.templates.traced.schedule import CudaTracedTemplate, TracedTemplate

_TEMPLATES: dict[str, Any] = {  # each a `Template` for its own kind of workload
    "llvm.conv2d_nchwc.v1": PackedConv2d(),
    "llvm.conv2d_nchwc_winograd.v1": PackedWinograd(),
    "llvm.depthwise_conv2d_nchwc.v1": PackedDepthwiseConv2d(),
    "llvm.dense_packed.v1": PackedDense(),
    "llvm.sketched.v1": TracedTemplate(),
    "cuda.sketched.v1": CudaTracedTemplate(),
    "tvm.plain.v1": Plain(),
    "tvm.given.v1": Given(),
    "cuda.conv2d_nchw.v1": DirectConv2d(),
    "cuda.depthwise_conv2d_nchw.v1": DirectDepthwiseConv2d(),
    "cuda.group_conv2d_nchw.v1": DirectGroupConv2d(),
    "cuda.conv2d_nchw_winograd.v1": WinogradConv2d(),
    "cuda.dense_small_batch.v1": SmallBatchDense(),
    "cuda.dense_large_batch.v1": LargeBatchDense(),
    "cuda.conv2d_tensor_core.v1": TensorCore(),
    "cuda.dense_tensor_core.v1": TensorCore(),
}


def template_for(space: ConfigSpace) -> Template:
    """The template of a space.

    Raises:
        InputError: this version has no such template.
    """
    return template_named(space.template)


def template_named(name: str) -> Template:
    """The template called as `ConfigSpace.template` says.

    Raises:
        InputError: this version has no such template.
    """
    if name not in _TEMPLATES:
        raise InputError(f"no template {name!r} in this version; known are {', '.join(_TEMPLATES)}")
    template: Template = _TEMPLATES[name]
    return template
