"""The passes that fuse a packed model into kernels, by what its target is good at."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator


@mutator
class _WrittenOut(PyExprMutator):
    """Gelu by its definition, 0.5 x (1 + erf(x / sqrt 2)): TVM's own hides the erf from `FastMathTransform`."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if call.op != tvm.ir.Op.get("relax.nn.gelu"):
            return call
        x, dtype = call.args[0], call.ty.dtype
        half, one, root = (relax.const(value, dtype) for value in (0.5, 1.0, 0.5**0.5))
        return half * x * (one + relax.op.erf(x * root))


@tvm.transform.module_pass(opt_level=0)
def _write_out(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    mutated = _WrittenOut(module)
    mutated.builder_.update_func(module.get_global_var("main"), mutated.visit_expr(module["main"]))
    return mutated.builder_.get()


FUSE = tvm.transform.Sequential(
    [
        relax.transform.LegalizeOps(),
        relax.transform.RewriteDataflowReshape(),  # what only renames a shape moves no data
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ]
)
FUSE_FOR_VECTORS = tvm.transform.Sequential(
    [
        _write_out,
        relax.transform.FastMathTransform(),  # exp and erf as polynomials, which vectorise; a GPU has instructions
        FUSE,
    ]
)
