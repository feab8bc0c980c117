"""All converters, registered by importing their modules, and the operators of TVM's that are not trusted."""

from __future__ import annotations

from collections.abc import Callable

from raydgp.models.onnx_operators import (
    convolution,
    elementwise,
    pooling,
    quantised,
    recurrent,
    resize,
    shapes,
)
from raydgp.models.onnx_operators.base import Operation

__all__ = ["CONTRIBUTED", "DISTRUSTED", "EXPANDED", "MODULES"]

MODULES = (convolution, elementwise, pooling, quantised, recurrent, resize, shapes)

# of TVM's own: when an operator is something else than ONNX's, or of no fixed shape
DISTRUSTED: dict[str, Callable[[Operation], bool]] = {
    **{name: lambda _: True for name in ("Unique", "NonZero", "NonMaxSuppression", "AllClassNMS", "Compress")},
    "BatchNormalization": lambda op: bool(op.get("training_mode", 0)) or op.outputs > 1,
    "AffineGrid": lambda _: True,
    "BitShift": lambda _: True,
    "Mod": lambda op: op.dtype().startswith("float"),
    "RoiAlign": lambda op: op.get("mode", "avg") != "avg",
    "SpaceToDepth": lambda op: op.get("mode", "DCR") != "DCR",
    "MaxUnpool": lambda _: True,
}

# replaced by their definitions in other operators
EXPANDED = {"Attention", "CausalConvWithState", "CenterCropPad", "Celu", "GroupNormalization"}
EXPANDED |= {"NegativeLogLikelihoodLoss", "RMSNormalization", "RotaryEmbedding", "SoftmaxCrossEntropyLoss"}
EXPANDED |= {"SwiGLU", "Swish"}

# of other domains, that TVM's converters are for
CONTRIBUTED = {"BiasGelu", "FastGelu", "Gelu", "SkipLayerNormalization", "EmbedLayerNormalization"}
