"""An ONNX model run as it is: the reference that an import is compared with."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto
from onnx.reference import ReferenceEvaluator

from raydgp.errors import InputError

Array = NDArray[Any]

LARGE = 1_800_000_000  # bytes; a message of 2 GB cannot be serialised
LIMIT_S = 300.0  # of one call; a loop may have no end


def session(model: ModelProto, options: onnxruntime.SessionOptions | None = None) -> onnxruntime.InferenceSession:
    """onnxruntime's session of a model on the CPU, silent."""
    options = options or onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    if model.ByteSize() < LARGE:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path, save_as_external_data=True)
        return onnxruntime.InferenceSession(str(path), options, providers=providers)


def unsized(model: ModelProto) -> ModelProto:
    """The model with inputs of any size: a branch that is not taken may be one that sizes contradict."""
    if not any(branches(node) for node in model.graph.node):
        return model
    opened = ModelProto()
    opened.CopyFrom(model)
    for value in opened.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("value")
    return opened


def branches(node: NodeProto) -> bool:
    """Whether a node runs graphs of its own."""
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


class Reference:
    """What a model computes: by onnxruntime, or by ONNX's own evaluator where that cannot run it."""

    def __init__(self, model: ModelProto) -> None:
        self._names = [value.name for value in model.graph.output]
        self._session: onnxruntime.InferenceSession | None = None
        self._refusal: Exception | None = None
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        for known in (model, unsized(model)):
            try:
                self._session = session(known, options)
                return
            except Exception as error:  # its errors share no narrower base
                self._refusal = self._refusal or error
        self._evaluator = ReferenceEvaluator(model)

    def __call__(self, feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs.

        Raises:
            InputError: it takes longer than `LIMIT_S`.
            Exception: whatever onnxruntime raises; also where the evaluator cannot run it either.
        """
        if self._session:
            return [np.asarray(output) for output in _run(self._session, self._names, feeds)]
        try:
            return [np.asarray(output) for output in self._evaluator.run(self._names, dict(feeds))]
        except Exception as error:
            raise self._refusal or error from None


def _run(known: onnxruntime.InferenceSession, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Any]:
    options = onnxruntime.RunOptions()
    timer = threading.Timer(LIMIT_S, lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        outputs: list[Any] = known.run(names, dict(feeds), options)
        return outputs
    except Exception:
        if options.terminate:
            raise InputError(f"the model runs longer than {LIMIT_S:g} s; a loop may have no end") from None
        raise
    finally:
        timer.cancel()


def outputs_of(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """The model with these tensors for outputs."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy
