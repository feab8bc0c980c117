"""A torch module or an exported program made into a Relax module that computes what torch does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tvm
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves, tree_map
from tvm.relax.frontend.torch import from_exported_program

from raydgp.errors import InputError
from raydgp.models.accuracy import difference
from raydgp.models.archive import read_program
from raydgp.models.importing.checking import runnable
from raydgp.models.importing.finishing import finished
from raydgp.models.importing.imported import Imported, digest_of
from raydgp.models.refusal import refusal
from raydgp.models.torch_operators.base import CONVERTERS
from raydgp.models.torch_operators.programs import prepared

Array = NDArray[Any]
_HALVES = (torch.float16, torch.bfloat16)


def from_torch(name: str, module: torch.nn.Module, inputs: tuple[Any, ...], check: bool) -> Imported:
    """Imports a live module, in eval mode.

    Args:
        inputs: example inputs.
        check: whether it is compared with torch on several inputs.
    """
    module.eval()
    with refusal(name, "torch.export cannot capture the model"), torch.no_grad():
        program = torch.export.export(module, _copied(inputs))
    return _from_program(name, program, check)


def from_pt2(path: Path, check: bool) -> Imported:
    """Imports an exported program."""
    return _from_program(path.stem, read_program(path), check)


class _Plain(torch.nn.Module):
    """A module whose inputs all go by place, and whose outputs are tensors alone, flat."""

    def __init__(self, module: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *values: Any) -> Any:
        first = len(values) - len(self.names)
        out = self.module(*values[:first], **dict(zip(self.names, values[first:], strict=True)))
        tensors = tuple(leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))
        return tensors[0] if len(tensors) == 1 else tensors


def plain_module(program: ExportedProgram) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """A program as a module that torch's exporters and compilers take, with example inputs by place."""
    args, kwargs = program.example_inputs
    module = program.module()
    for name in ("train", "eval"):  # they refuse to be called, and there is nothing to switch
        vars(module).pop(name, None)
    return _Plain(module, list(kwargs)), (*args, *kwargs.values())


def _from_program(name: str, program: ExportedProgram, check: bool) -> Imported:
    leaves = tree_leaves(program.example_inputs)
    if not leaves or not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        raise InputError(f"{name}: example inputs must be tensors: make other arguments part of the model")
    if program.graph_signature.buffers_to_mutate:
        raise InputError(f"{name}: the model changes its buffers: call model.eval() before torch.export")
    program, notes = _single(name, program)
    args, kwargs = program.example_inputs
    with refusal(name, "TVM cannot import the model"):
        raw = _translated(program)
        module = finished(raw)
    run = program.module()

    def reference(values: Sequence[torch.Tensor]) -> list[Array]:
        given_args, given_kwargs = torch.utils._pytree.tree_unflatten(_copied(values), tree_spec)
        with torch.no_grad():
            outputs = tree_leaves(run(*given_args, **given_kwargs))
        return [_numpy(output) for output in outputs if isinstance(output, torch.Tensor)]

    tensors, tree_spec = torch.utils._pytree.tree_flatten((args, kwargs))
    with refusal(name, "the model does not run on its example inputs"):
        expected = reference(tensors)
    inputs = tuple(_numpy(tensor) for tensor in tensors)
    if check:
        with refusal(name, "TVM cannot run the model"):
            _check(name, module, tensors, reference)
    signature = program.graph_signature
    norms = sum("batch_norm" in str(node.target) for node in program.graph.nodes)
    return Imported(
        name,
        module,
        inputs,
        tuple(expected),
        digest_of(raw),
        tuple(notes),
        input_names=signature.user_inputs,
        output_names=tuple(str(output) for output in signature.user_outputs),
        folded={"batch_norm": norms} if norms else {},
    )


def _translated(program: ExportedProgram) -> tvm.IRModule:
    decomposed = prepared(program)
    return from_exported_program(
        decomposed,
        keep_params_as_input=False,
        unwrap_unit_return_tuple=True,
        custom_convert_map=dict(CONVERTERS),
        run_ep_decomposition=False,
    )


def _check(
    name: str,
    module: tvm.IRModule,
    tensors: Sequence[torch.Tensor],
    reference: Callable[[Sequence[torch.Tensor]], list[Array]],
) -> None:
    run = runnable(module)
    for values in _draws(tensors):
        if wrong := difference(run([_numpy(value) for value in values]), reference(values)):
            raise InputError(f"what TVM computes is not what torch does: {wrong}")


def _draws(tensors: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """The example inputs, and floats of their mean and spread by another seed; whole numbers stay as they are."""
    generator = torch.Generator().manual_seed(1)

    def normal(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        return drawn * value.std(correction=0) + value.mean() if value.numel() else drawn

    return [list(tensors), [normal(value) for value in tensors]]


def _single(name: str, program: ExportedProgram) -> tuple[ExportedProgram, list[str]]:
    """The program in fp32 where it is of a half type, with the words for that."""
    tensors = [*program.state_dict.values(), *program.constants.values(), *tree_leaves(program.example_inputs)]
    halves = sorted(
        {str(t.dtype).removeprefix("torch.") for t in tensors if isinstance(t, torch.Tensor) and t.dtype in _HALVES}
    )
    casts = any(
        value in _HALVES
        for node in program.graph.nodes
        for value in [*node.args, *node.kwargs.values()]
        if isinstance(value, torch.dtype)
    )
    if not halves and not casts:
        return program, []
    with refusal(name, "the model cannot be computed in float32"), torch.no_grad():
        graph = program.module()
        graph = graph.float()
        for node in graph.graph.nodes:
            node.args = tuple(_wide(value) for value in node.args)
            node.kwargs = {key: _wide(value) for key, value in node.kwargs.items()}
        graph.recompile()
        args, kwargs = tree_map(
            lambda v: v.float() if isinstance(v, torch.Tensor) and v.dtype in _HALVES else v, program.example_inputs
        )
        single = torch.export.export(graph, args, kwargs)
    kinds = " and ".join(halves) or "half precision"
    return single, [f"the model is of {kinds}: computed in float32, which its inputs and outputs are of, too"]


def _wide(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in _HALVES else value


def _copied(values: Any) -> Any:
    """Of tensors, so that a model that writes into its inputs leaves the examples as they are."""
    return tree_map(
        lambda value: value.detach().clone() if isinstance(value, torch.Tensor) else copy.copy(value), values
    )


def _numpy(value: Any) -> Array:
    return value.detach().contiguous().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
