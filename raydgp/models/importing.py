"""A user's model in: a network by name, a `.pt2` or `.onnx` file, or a Python function, as one Relax module.

Files are data: `raydgp.models.archive` says what that takes. `module:function` runs the user's own code, as the user
wishes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import tvm
from onnx.reference import ReferenceEvaluator
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.relax.frontend.torch import from_exported_program

from raydgp.errors import InputError, nearest
from raydgp.models import sources
from raydgp.models.archive import read_program, refusal
from raydgp.models.folding import fold_batch_norms
from raydgp.models.networks import NETWORKS, network, transformer_block

Array = np.ndarray[Any, Any]

MODELS: dict[str, Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]]] = {
    **{name: partial(network, name) for name in NETWORKS},
    "transformer_block": transformer_block,
}


@dataclass(frozen=True)
class Imported:
    """A model as TVM sees it, with what it must compute.

    Attributes:
        name: the network's, the file's without its ending, or the function's.
        module: Relax; its function `main` takes the inputs alone, weights are constants, batch norms are folded.
        inputs: example inputs, in the order of `main`'s parameters; of an ONNX file random by the declared shapes.
        expected: the outputs for them, flat, by the source's own framework: torch eager, or onnxruntime (where it is
            not installed, ONNX's reference evaluator).
        digest: 16 hex digits of the SHA-256 of architecture and weights, the same in every process.
    """

    name: str
    module: tvm.IRModule
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]
    digest: str


def load(source: str) -> Imported:
    """The model that `source` names: one of `MODELS`, a `.pt2` or `.onnx` file, or `module:function`.

    A name may follow `zoo:`. The function takes no arguments and returns an `nn.Module` and its example inputs, a tuple
    of tensors; its module is looked for in the current directory, too.

    Raises:
        InputError: nothing of that name, a broken or unsafe file, dynamic dimensions, or an operator that TVM lacks.
    """
    sources.check(source)
    path, network_name = Path(source), source.removeprefix("zoo:")
    if network_name in MODELS:
        return _from_torch(network_name, *MODELS[network_name]())
    if path.suffix in sources.FILES:
        return _from_pt2(path) if path.suffix == ".pt2" else _from_onnx(path)
    return _from_torch(source.split(":")[1], *_call_entry(source))


def load_torch(source: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The source as torch has it, with example inputs, to run it there.

    Raises:
        InputError: as `load`, or the source is an ONNX file.
    """
    if (name := source.removeprefix("zoo:")) in MODELS:
        return _evaluating(*MODELS[name]())
    path = Path(source)
    if path.suffix == ".pt2":
        args, kwargs = (program := read_program(path)).example_inputs
        return program.module(), (*args, *kwargs.values())
    if path.suffix == ".onnx":
        raise InputError(f"{source}: torch does not run ONNX files")
    return _evaluating(*_call_entry(source))


def _evaluating(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    return module.eval(), inputs


def _imported(
    name: str, translate: Callable[[], tvm.IRModule], inputs: list[Array], run: Callable[[], Any]
) -> Imported:
    """Translates before it runs the model: what TVM has no operator for is never executed."""
    with refusal(name, "TVM cannot import the model"):
        raw = translate()
        module = relax.transform.DecomposeOpsForInference()(fold_batch_norms(raw))
    with refusal(name, "the model does not run on its example inputs"):
        expected = tuple(np.asarray(output) for output in run())
    return Imported(name, module, tuple(inputs), expected, _digest(raw))


def _digest(module: tvm.IRModule) -> str:
    # Of the module as it came, whose constants no compiler's rounding has touched.
    digest = hashlib.sha256(module.script(show_meta=False).encode())

    def add(expr: relax.Expr) -> None:
        if isinstance(expr, tvm.ir.GenericConst):
            digest.update(np.ascontiguousarray(expr.value.numpy()).data)

    for _, function in sorted(module.functions_items(), key=lambda item: item[0].name_hint):
        relax.analysis.post_order_visit(function, add)
    return digest.hexdigest()[:16]


def _from_torch(name: str, module: torch.nn.Module, inputs: tuple[Any, ...]) -> Imported:
    module.eval()
    with refusal(name, "torch.export cannot capture the model"), torch.no_grad():
        program = torch.export.export(module, inputs)
    return _from_program(name, program, lambda: module(*inputs))


def _from_program(name: str, program: ExportedProgram, run: Callable[[], Any]) -> Imported:
    leaves = tree_leaves(program.example_inputs)
    if not leaves or not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        raise InputError(f"{name}: example inputs must be tensors: make other arguments part of the model")
    if program.graph_signature.buffers_to_mutate:
        raise InputError(f"{name}: the model changes its buffers: call model.eval() before torch.export")

    def evaluate() -> list[Array]:
        with torch.no_grad():
            return [output.numpy() for output in tree_leaves(run())]

    def translate() -> tvm.IRModule:
        return from_exported_program(program, keep_params_as_input=False, unwrap_unit_return_tuple=True)

    return _imported(name, translate, [leaf.detach().numpy() for leaf in leaves], evaluate)


def _call_entry(source: str) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    name, _, function = source.partition(":")
    sys.path.insert(0, "")  # the current directory, also for what the function imports
    try:
        with refusal(source, f"cannot import {name!r}"):
            module = importlib.import_module(name)
        entry = getattr(module, function, None)
        if not callable(entry):
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise InputError(f"{source}: {name!r} has no function {function!r}{nearest(function, names)}")
        with refusal(source, "the function failed"):
            result = entry()
    finally:
        sys.path.remove("")
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], torch.nn.Module)):
        raise InputError(f"{source}: must return an nn.Module and a tuple of example inputs")
    if not isinstance(result[1], tuple):
        raise InputError(f"{source}: example inputs must be a tuple of tensors, not {type(result[1]).__name__}")
    return result


def _from_pt2(path: Path) -> Imported:
    program = read_program(path)
    args, kwargs = program.example_inputs
    return _from_program(path.stem, program, lambda: program.module()(*args, **kwargs))


def _from_onnx(path: Path) -> Imported:
    with refusal(path, "broken, export it again"):
        onnx.checker.check_model(str(path))
        model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    feeds = {value.name: _random(path, value) for value in model.graph.input if value.name not in weights}

    def run() -> Any:
        if find_spec("onnxruntime"):
            import onnxruntime  # of an extra

            return onnxruntime.InferenceSession(str(path)).run(None, feeds)
        return ReferenceEvaluator(model).run(None, feeds)

    def translate() -> tvm.IRModule:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints operators that fail
            return from_onnx(model, keep_params_in_input=False)

    return _imported(path.stem, translate, list(feeds.values()), run)


def _random(path: Path, value: onnx.ValueInfoProto) -> Array:
    """A seeded input of the declared shape: standard normal, or 0 and 1 for whole numbers, which are often indices."""
    tensor = value.type.tensor_type
    dynamic = [dim.dim_param or "?" for dim in tensor.shape.dim if dim.dim_value <= 0]
    if dynamic or not tensor.HasField("shape"):
        raise InputError(
            f"{path}: input {value.name!r} has dynamic dimensions ({', '.join(dynamic)}): fix them with "
            f"`python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param NAME --dim_value 1 IN OUT`"
        )
    shape = [dim.dim_value for dim in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    rng = np.random.default_rng(0)
    floats = np.issubdtype(dtype, np.floating)
    return np.asarray(rng.standard_normal(shape) if floats else rng.integers(0, 2, shape)).astype(dtype)
