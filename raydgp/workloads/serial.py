"""Workloads out of plain data."""

from __future__ import annotations

from typing import Any

from raydgp.errors import InputError
from raydgp.workloads.fused import Fused
from raydgp.workloads.ops import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, Workload
from raydgp.workloads.traced import TracedKernel

_OPS: dict[str, type[Workload]] = {c.op: c for c in (Conv2d, DepthwiseConv2d, Dense, GroupConv2d, Fused, TracedKernel)}


def from_dict(data: dict[str, Any]) -> Workload:
    """Inverse of `Workload.to_dict`.

    Raises:
        InputError: unknown operator, missing or unknown field, impossible shape.
    """
    fields = dict(data)
    op = fields.pop("op", None)
    if not isinstance(op, str) or op not in _OPS:
        raise InputError(f"workload: unknown op {op!r}; known are {', '.join(_OPS)}")
    if isinstance(fields.get("anchor"), dict):
        fields["anchor"] = from_dict(fields["anchor"])
    try:
        return _OPS[op](**fields)
    except TypeError as error:
        raise InputError(f"workload {op}: {str(error).split('__init__() ')[-1]}") from None
