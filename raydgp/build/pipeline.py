"""TVM's lowering with passes of ours, by the name that `tvm.compile` takes.

Transcendental functions become arithmetic in the place of calls of libm; kernels for CPUs fetch their weights ahead and
keep their sums in registers.

TVM takes loops around some of its intrinsics for ones that cannot be vectorised. These are ours until they are written
out, and may be vectorised.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import _ffi_api
from tvm.tirx.compilation_pipeline import get_tir_pipeline, register_tir_pipeline

from raydgp.build.prefetching import prefetched
from raydgp.build.stack import on_stack
from raydgp.build.vector_math import legalised

PIPELINE = "raydgp"
_NOT_VECTORISED = (
    "erf",
    "log1p",
    "asinh",
    "acosh",
    "atanh",
    "asin",
    "acos",
    "atan",
    "atan2",
    "rsqrt",
    "isnan",
    "hypot",
    "copysign",
)
_PURE = 1  # of TVM's CallEffectKind


@tvm.transform.module_pass(opt_level=0)
def _renamed(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    return _mapped(module, lambda function: tvm_ffi.structural_map(function, (tvm.ir.Call, _as_ours)))


@tvm.transform.module_pass(opt_level=0)
def _written_out(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    return _mapped(module, legalised)


@tvm.transform.module_pass(opt_level=0)
def _ahead(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    return _mapped(module, prefetched)


@tvm.transform.module_pass(opt_level=0)
def _on_stack(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    return _mapped(module, lambda function: on_stack(function) if _of_cpu(function) else function)


def _of_cpu(function: tirx.PrimFunc) -> bool:
    target = function.attrs.get("target")
    return target is not None and target.kind.name == "llvm"


def _mapped(module: tvm.IRModule, change: Any) -> tvm.IRModule:
    functions = {
        name: change(function) if isinstance(function, tirx.PrimFunc) else function
        for name, function in module.functions_items()
    }
    return tvm.IRModule(functions, attrs=module.attrs)


def _as_ours(call: tvm.ir.Call) -> tvm.ir.Call:
    name = getattr(call.op, "name", "")
    if not name.startswith("tirx.") or name.removeprefix("tirx.") not in _NOT_VECTORISED:
        return call
    return tirx.call_intrin(str(call.ty.dtype), name.replace("tirx.", "raydgp."), *call.args)


def _pipeline() -> tuple[Any, Any, Any]:
    lowered, of_host, of_device = get_tir_pipeline("s_tir")
    return tvm.ir.transform.Sequential([_renamed, _ahead, lowered, _written_out, _on_stack]), of_host, of_device


for _name in _NOT_VECTORISED:
    _ffi_api.RegisterOp(f"raydgp.{_name}", f"as tirx.{_name}")
    for _key, _value in (("TVectorizable", True), ("TCallEffectKind", _PURE)):
        tvm.ir.register_op_attr(f"raydgp.{_name}", _key, _value)
register_tir_pipeline(PIPELINE, _pipeline)
