"""What an import gives: a Relax module, its example inputs, and what it must compute for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.models.accuracy import TOLERANCE

Array = NDArray[Any]
Reference = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True)
class Cut:
    """A part of a model that runs beside TVM.

    Attributes:
        function: by which the module calls it.
        operators: how many of each kind.
        inputs: tensors that are copied to it.
        outputs: tensors that are copied back.
        reason: why its first operator is not TVM's.
    """

    function: str
    operators: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Imported:
    """A model as TVM sees it, with what it must compute.

    Attributes:
        name: the network's, the file's without its ending, or the function's.
        module: Relax; its function `main` takes the inputs alone, weights are constants, batch norms are folded.
        inputs: example inputs, in the order of `main`'s parameters; of an ONNX file random by the declared shapes.
        expected: the outputs for them, flat, by the source's own framework: torch eager, or onnxruntime.
        digest: 16 hex digits of the SHA-256 of architecture and weights, the same in every process.
        notes: what the user should know: what was chosen for them, and what TVM does not compute.
        beside: ONNX models, by the name of the function by which `module` calls them, that onnxruntime computes.
        cut: the same parts in words.
        input_names: by which the source knows its inputs.
        output_names: and its outputs.
        folded: operators of the source, by kind, that are computed already or part of others: how many.
        tolerance: what an output's error may be, as of `raydgp.models.accuracy`.
    """

    name: str
    module: tvm.IRModule
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]
    digest: str
    notes: tuple[str, ...] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)
    cut: tuple[Cut, ...] = ()
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    folded: Mapping[str, int] = field(default_factory=dict)
    tolerance: float = TOLERANCE


def digest_of(module: tvm.IRModule) -> str:
    """Of a module as it came, whose constants no compiler's rounding has touched."""
    digest = hashlib.sha256(module.script(show_meta=False).encode())

    def add(expr: relax.Expr) -> None:
        if isinstance(expr, tvm.ir.GenericConst):
            digest.update(np.ascontiguousarray(expr.value.numpy()).data)

    for _, function in sorted(module.functions_items(), key=lambda item: item[0].name_hint):
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, add)
    return digest.hexdigest()[:16]
