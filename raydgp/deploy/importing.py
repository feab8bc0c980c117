"""A user's model in: a network by name, a `.pt2` or `.onnx` file, or a Python function, as one Relax module.

A file is data. `torch.export.load` of torch 2.13 is not made for that: it unpickles custom objects, and example inputs
and weights that a safe load refuses; loads compiled libraries out of the archive; evaluates symbolic shapes and guards;
writes names into generated Python. So an archive is read here first, by the same reader, and refused unless it holds
nothing of the kind: plain tensors, static shapes, ATen operators, names that are identifiers. What remains is trust in
the parsers of torch, onnx and TVM, written in C++. `module:function` runs the user's own code, as the user wishes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
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
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2
from torch.utils._pytree import tree_leaves
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.relax.frontend.torch import from_exported_program

from raydgp.deploy.folding import fold_batch_norms
from raydgp.deploy.networks import NETWORKS, network, transformer_block
from raydgp.errors import InputError, nearest

Array = np.ndarray[Any, Any]

MODELS: dict[str, Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]]] = {
    **{name: partial(network, name) for name in NETWORKS},
    "transformer_block": transformer_block,
}
_RECORDS = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/\w+"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.getitem")
_STATIC = "export it with fixed shapes, without dynamic_shapes"


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
    path, network_name = Path(source), source.removeprefix("zoo:")
    if network_name in MODELS:
        return _from_torch(network_name, *MODELS[network_name]())
    if path.suffix in (".pt2", ".onnx"):
        if not path.is_file():
            raise InputError(f"{source}: no such file")
        return _from_pt2(path) if path.suffix == ".pt2" else _from_onnx(path)
    if ":" in source and not source.startswith("zoo:"):
        return _from_torch(source.split(":")[1], *_call_entry(source))
    raise InputError(
        f"unknown model {network_name!r}: give a .pt2 or .onnx file, module:function or a network"
        f"{nearest(network_name, MODELS)}"
    )


def load_torch(source: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The source as torch has it, with example inputs, to run it there.

    Raises:
        InputError: as `load`, or the source is an ONNX file.
    """
    if (name := source.removeprefix("zoo:")) in MODELS:
        return _evaluating(*MODELS[name]())
    path = Path(source)
    if path.suffix == ".pt2":
        args, kwargs = (program := _program_of(path)).example_inputs
        return program.module(), (*args, *kwargs.values())
    if path.suffix == ".onnx":
        raise InputError(f"{source}: torch does not run ONNX files")
    return _evaluating(*_call_entry(source))


def _evaluating(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    return module.eval(), inputs


@contextlib.contextmanager
def _refusal(source: object, failure: str) -> Iterator[None]:
    """Makes of whatever a framework raises the one line that says what is wrong with the input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise InputError(f"{source}: {failure}: {type(error).__name__}{f': {said}' if said else ''}") from error


def _imported(
    name: str, translate: Callable[[], tvm.IRModule], inputs: list[Array], run: Callable[[], Any]
) -> Imported:
    """Translates before it runs the model: what TVM has no operator for is never executed."""
    with _refusal(name, "TVM cannot import the model"):
        raw = translate()
        module = relax.transform.DecomposeOpsForInference()(fold_batch_norms(raw))
    with _refusal(name, "the model does not run on its example inputs"):
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
    with _refusal(name, "torch.export cannot capture the model"), torch.no_grad():
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
        with _refusal(source, f"cannot import {name!r}"):
            module = importlib.import_module(name)
        entry = getattr(module, function, None)
        if not callable(entry):
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise InputError(f"{source}: {name!r} has no function {function!r}{nearest(function, names)}")
        with _refusal(source, "the function failed"):
            result = entry()
    finally:
        sys.path.remove("")
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], torch.nn.Module)):
        raise InputError(f"{source}: must return an nn.Module and a tuple of example inputs")
    if not isinstance(result[1], tuple):
        raise InputError(f"{source}: example inputs must be a tuple of tensors, not {type(result[1]).__name__}")
    return result


def _from_pt2(path: Path) -> Imported:
    program = _program_of(path)
    args, kwargs = program.example_inputs
    return _from_program(path.stem, program, lambda: program.module()(*args, **kwargs))


def _program_of(path: Path) -> ExportedProgram:
    """The program of an archive that holds nothing but data, with example inputs."""
    data = path.read_bytes()  # once, so that what is loaded is what was checked
    with _refusal(path, f"broken or old, write it again with torch.export.save of torch {torch.__version__}"):
        _check_archive(PT2ArchiveReader(io.BytesIO(data)))
        program = load_pt2(io.BytesIO(data)).exported_programs["model"]
    if program.example_inputs is None:
        raise InputError(f"{path}: has no example inputs: export it again with torch.export.export(model, inputs)")
    return program


def _check_archive(archive: PT2ArchiveReader) -> None:
    for name in archive.get_file_names():
        if not _RECORDS.fullmatch(name):
            raise InputError(f"{name!r} is not weights and graph: save the program without extras")
    for kind in ("weights", "constants"):
        config = json.loads(archive.read_string(f"data/{kind}/model_{kind}_config.json"))["config"]
        for name, entry in config.items():
            if entry["use_pickle"] is not False:
                raise InputError(f"{name!r} is pickled: save plain, dense tensors only")
    examples = io.BytesIO(archive.read_bytes("data/sample_inputs/model.pt"))
    try:
        torch.load(examples, weights_only=True)
    except Exception as error:  # its own words recommend the unsafe load
        raise InputError("example inputs are not plain tensors: export the program again with such") from error
    program = json.loads(archive.read_string("models/model.json"))
    if program["range_constraints"] or program["guards_code"]:
        raise InputError(f"has dynamic dimensions: {_STATIC}")
    for part in _dicts(program["graph_module"]):
        _check_part(part)


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries of a JSON document, and of the tree specifications that it holds as strings."""
    if isinstance(tree, dict):
        yield tree
        for key, value in tree.items():
            yield from _dicts(json.loads(value) if key in ("in_spec", "out_spec") and value else value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _dicts(value)


def _check_part(part: dict[str, Any]) -> None:
    if "expr_str" in part or "as_expr" in part:
        raise InputError(f"has dynamic dimensions: {_STATIC}")
    if "target" in part and "inputs" in part and not _OPERATORS.fullmatch(str(part["target"])):
        raise InputError(f"calls {part['target']!r}, which is no ATen operator: build the model of those")
    names = [part.get("name"), *(part.get("forward_arg_names") or [])]
    if "children_spec" in part:
        if part["type"] not in (None, "builtins.tuple", "builtins.list", "builtins.dict"):
            raise InputError(f"takes or returns a {part['type']}: use tensors, tuples, lists or dicts")
        names += json.loads(part["context"] or "null") or []
    for name in names:
        if name and not (isinstance(name, str) and name.isidentifier()):
            raise InputError(f"{name!r} is no name: save the program again with torch.export.save")


def _from_onnx(path: Path) -> Imported:
    with _refusal(path, "broken, export it again"):
        onnx.checker.check_model(str(path))
        model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    feeds = {value.name: _random(path, value) for value in model.graph.input if value.name not in weights}

    def run() -> Any:
        if find_spec("onnxruntime"):
            import onnxruntime

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
