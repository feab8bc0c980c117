"""A model as the calls of its kernels: run plainly, they give what torch gives; what is no such line is refused."""

import numpy as np
import pytest
import torch
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.importing import load
from raydgp.models.lowering import Lowered, lower
from raydgp.models.plain_run import PlainRun
from raydgp.models.straight_line import straight_line
from raydgp.targets import Target
from tests.support.networks import Everything, imported

NETWORKS = "tests.support.networks"


def outputs(module, inputs, target, seen=None):
    """The line of a model, and what it gives; each output of a step is added to `seen` with whether it is finite."""
    line, seen = straight_line(lower(module, target)), [] if seen is None else seen
    given = {**dict(zip(line.inputs, inputs, strict=True)), **line.constants}
    return line, PlainRun(line)(given, lambda number, array: seen.append((number, np.isfinite(array).all())))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llvm", "cuda/sm_90"])
def test_residuals_concatenations_and_two_outputs(name, target):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = Everything().eval(), torch.randn(1, 3, 28, 28)
    _, found = outputs(imported(model, (x,)), [x.numpy()], target if name == "llvm" else Target.named(name))
    for out, right in zip(found, model(x), strict=True):
        np.testing.assert_allclose(out, right.detach().numpy(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["llvm", pytest.param("cuda/sm_90", marks=pytest.mark.slow)])
def test_a_residual_on_memory_that_is_planned_ahead(name, target):
    model = load(f"{NETWORKS}:images", check=False)
    seen: list[tuple[int, bool]] = []
    line, (out,) = outputs(model.module, model.inputs, target if name == "llvm" else Target.named(name), seen)
    np.testing.assert_allclose(out, model.expected[0], atol=1e-5)
    assert seen == [(step.arguments[-1], True) for step in line.steps]  # when they are written, not later
    written = [line.values[step.arguments[-1]].buffer for step in line.steps]
    assert len(set(written)) < len(written)


def test_indices_in_and_out(target):
    model = load(f"{NETWORKS}:words", check=False)
    line, (scores, best) = outputs(model.module, model.inputs, target)
    np.testing.assert_allclose(scores, model.expected[0], atol=1e-6)
    np.testing.assert_array_equal(best, model.expected[1])
    assert {line.values[number].dtype for number in line.inputs} == {"int64"}


def lines(module):
    return straight_line(Lowered(module, [], []))


def test_what_is_no_kernel_is_named():
    builder, three = relax.BlockBuilder(), relax.TensorType((3,), "float32")
    x = relax.Var("x", three)
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(builder.emit(relax.op.call_pure_packed("somebody.elses", x, ty_args=three)))
        builder.emit_func_output(out)
    with pytest.raises(InputError, match=r"it calls somebody\.elses, which is no kernel"):
        lines(builder.get())


def test_control_flow_is_refused():
    builder = relax.BlockBuilder()
    x, choice = relax.Var("x", relax.TensorType((3,), "float32")), relax.Var("c", relax.TensorType((), "bool"))
    with builder.function("main", [x, choice]):
        branch = relax.If(choice, relax.SeqExpr([], x), relax.SeqExpr([], x))
        builder.emit_func_output(builder.emit(branch))
    with pytest.raises(InputError, match="it has control flow"):
        lines(builder.get())
