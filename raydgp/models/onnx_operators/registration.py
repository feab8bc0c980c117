"""All converters, registered by importing their modules, and the operators of TVM's that are not trusted."""

from __future__ import annotations

from raydgp.models.onnx_operators import pooling, recurrent, resize, shapes

__all__ = ["DISTRUSTED", "EXPANDED", "pooling", "recurrent", "resize", "shapes"]

# their outputs have no fixed shape, or theirs is another than ONNX's
DISTRUSTED = {"Unique", "NonZero", "NonMaxSuppression", "AllClassNMS", "Compress"}

# replaced by their definitions in other operators
EXPANDED = {"AffineGrid", "Attention", "CenterCropPad", "Celu", "GroupNormalization", "MeanVarianceNormalization"}
EXPANDED |= {"NegativeLogLikelihoodLoss", "RotaryEmbedding", "SoftmaxCrossEntropyLoss", "Swish"}
