"""Exported programs made ready for TVM's importer: decomposed to what it or one of our converters takes."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

from raydgp.errors import InputError
from raydgp.models.torch_operators import images, parts, recurrent, reductions, scattering
from raydgp.models.torch_operators.base import CONVERTERS

__all__ = ["images", "parts", "prepared", "recurrent", "reductions", "scattering"]

_DISTRUSTED = {"grid_sampler_2d.default", "upsample_nearest2d.vec"}


def prepared(program: ExportedProgram) -> ExportedProgram:
    """A program of operators that can be translated; its outputs are tensors.

    Raises:
        InputError: some operators cannot, nor decomposed by torch.
    """
    known = (set(ExportedProgramImporter().create_convert_map()) | set(CONVERTERS)) - (_DISTRUSTED - set(CONVERTERS))
    table: dict[Any, Any] = dict(torch.export.default_decompositions())
    for operator, rule in torch._decomp.decomposition_table.items():
        if isinstance(operator, torch._ops.OpOverload) and operator.__name__ not in known:
            table.setdefault(operator, rule)
    for operator in [operator for operator in table if getattr(operator, "__name__", "") in CONVERTERS]:
        del table[operator]
    program = program.run_decompositions(table)
    called = {node.target.__name__ for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    if lacking := sorted(called - known - set(CONVERTERS)):
        raise InputError(f"TVM lacks {', '.join(name.removesuffix('.default') for name in lacking)}")
    _leave_out_constants(program)
    return program


def _leave_out_constants(program: ExportedProgram) -> None:
    """Outputs that are no tensors, None among them, are not the model's to compute."""
    signature = program.graph_signature
    kept = [not isinstance(spec.arg, ConstantArgument) for spec in signature.output_specs]
    if all(kept):
        return
    output = next(node for node in program.graph.nodes if node.op == "output")
    output.args = (tuple(value for value, keep in zip(output.args[0], kept, strict=True) if keep),)
    signature.output_specs[:] = [spec for spec, keep in zip(signature.output_specs, kept, strict=True) if keep]
