"""Layers as TVM itself writes them down, in plain layouts: without a schedule, or with one that somebody else made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import te, topi

from raydgp.errors import InputError
from raydgp.registry import resolve
from raydgp.space import ConfigSpace
from raydgp.space.knobs import choice
from raydgp.targets import Target
from raydgp.templates.base import PlainArrays
from raydgp.templates.epilogue import IN_TIR, anchor_of
from raydgp.workloads import Fused, Workload
from raydgp.workloads.activations import activated


class Plain(PlainArrays):
    """The layer without a schedule: serial loops over logical layouts (see the workload's docstring)."""

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        return tvm.IRModule({"main": compute(workload).with_attr("global_symbol", "main")})


class Given(Plain):
    """The layer as the scheduled module of knob `module`, in TVM's JSON, in plain layouts."""

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        return tvm.ir.load_json(knobs["module"])


def untuned(workload: Workload, kind: str) -> ConfigSpace:
    """The one configuration, index 0, of a layer that nobody has scheduled, for a kind of target that can run it.

    It runs some hundred times slower than a tuned one: give a large layer `repeat=1` and a long `run_timeout_s`.
    """
    return ConfigSpace(workload, kind, "tvm.plain.v1", [], {})


def given(workload: Workload, kind: str, modules: Sequence[str]) -> ConfigSpace:
    """A space of modules that somebody else scheduled: configuration i is the i-th of them.

    Args:
        kind: name of the kind of target.
        modules: at least one, in TVM's JSON.
    """
    return ConfigSpace(workload, kind, "tvm.given.v1", [choice("module", modules)], {"module": modules[0]})


def compute(workload: Workload) -> tvm.tirx.PrimFunc:
    """The operator of TVM's library that a model imported into Relax gets."""
    function = te.create_prim_func(_tensors(workload))
    # a dense layer's weight would be free to change its layout, which its callers would have to follow
    return function.without_attr("layout_free_buffers")


def _tensors(workload: Workload) -> list[te.Tensor]:
    """Inputs, as in the workload's docstring in logical layouts, and the output.

    Raises:
        InputError: TVM's library has no such operator.
    """
    inputs = [te.placeholder(shape, name=f"input{k}") for k, shape in enumerate(workload.input_shapes)]
    anchor = anchor_of(workload)
    if not anchor.plain:
        raise InputError(f"{workload.op} has no computation of TVM's library; name one as `plain` of its class")
    own = len(anchor.input_shapes)
    out = resolve(anchor.plain, f"operator {anchor.op}")(anchor, *inputs[:own])
    rest = iter(inputs[own:])
    for step in workload.epilogue if isinstance(workload, Fused) else ():
        if step == "bias":
            out = topi.add(out, topi.reshape(next(rest), (1, -1, *[1] * (len(out.shape) - 2))))
        elif step == "add":
            out = topi.add(out, next(rest))
        elif step == "prelu":
            out = topi.nn.prelu(out, next(rest), anchor.channel_axis % len(out.shape))
        elif step in ("relu", "relu6"):
            out = topi.clip(out, 0.0, 6.0) if step == "relu6" else topi.nn.relu(out)
        else:
            out = _elementwise(step, out)
    return [*inputs, out]


def _elementwise(step: str, x: te.Tensor) -> te.Tensor:
    return te.compute(x.shape, lambda *at: activated(step, x[at], IN_TIR), name="activated")
