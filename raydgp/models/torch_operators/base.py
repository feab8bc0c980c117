"""What a converter is given, and where converters are registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tvm import relax


@dataclass(frozen=True)
class Operation:
    """A node of an exported program.

    Attributes:
        node: of torch.fx.
        importer: TVM's, which has the translated values.
    """

    node: torch.fx.Node
    importer: Any

    @property
    def builder(self) -> relax.BlockBuilder:
        return self.importer.block_builder

    @property
    def name(self) -> str:
        """Of the operator, as `avg_pool2d.default`."""
        target: Any = self.node.target
        return str(target.__name__)

    def emit(self, expr: relax.Expr) -> relax.Var:
        return self.builder.emit(expr)

    def arguments(self) -> dict[str, Any]:
        """By name, with defaults; nodes as what they are translated to."""
        target: Any = self.node.target
        given = dict(zip((argument.name for argument in target._schema.arguments), self.node.args, strict=False))
        given |= self.node.kwargs
        values = {
            a.name: given.get(a.name, a.default_value if a.has_default_value() else None)
            for a in target._schema.arguments
        }
        return {name: torch.fx.map_arg(value, self.importer.env.__getitem__) for name, value in values.items()}


Converter = Callable[[Operation], Any]
CONVERTERS: dict[str, Callable[[torch.fx.Node, Any], Any]] = {}


def converts(*names: str) -> Callable[[Converter], Converter]:
    """Registers the converter of some operators, named as `avg_pool2d.default`."""

    def decorated(converter: Converter) -> Converter:
        CONVERTERS.update({name: lambda node, importer: converter(Operation(node, importer)) for name in names})
        return converter

    return decorated


def shape_of(value: relax.Expr) -> tuple[int, ...]:
    return tuple(int(extent) for extent in value.ty.shape)
