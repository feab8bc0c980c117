"""What is done to a module as an importer made it, whichever did, before anything else sees it."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from raydgp.models.folding import fold_batch_norms
from raydgp.models.transposed import without_transposed

_TAKE = tvm.ir.Op.get("relax.take")


def finished(module: tvm.IRModule) -> tvm.IRModule:
    """Batch norms folded, no transposed convolution, nothing of training, no index that reads beyond an array's end."""
    bounded = _Bounded(module)
    bounded.builder_.update_func(module.get_global_var("main"), bounded.visit_expr(module["main"]))
    plain = without_transposed(fold_batch_norms(bounded.builder_.get()))
    return _with_block(relax.transform.DecomposeOpsForInference()(plain))


def _with_block(module: tvm.IRModule) -> tvm.IRModule:
    """A model that gives its inputs or constants as they are has a block of bindings, too, as all others have."""
    function = module["main"]
    if function.body.blocks:
        return module
    out = relax.Var("out", function.body.body.ty)
    body = relax.SeqExpr([relax.DataflowBlock([relax.VarBinding(out, function.body.body)])], out)
    module["main"] = relax.Function(function.params, body, out.ty, function.is_pure, function.attrs)
    return relax.transform.Normalize()(module)


@mutator
class _Bounded(PyExprMutator):
    """Indices clipped, where TVM's own way is to crash the process when a user's are out of bounds."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if call.op != _TAKE or call.attrs.mode != "fast":
            return call
        return relax.op.take(*call.args, axis=call.attrs.axis, mode="clip")
