"""Transposed convolutions as convolutions: of every stride, kernel and padding the numbers of torch."""

import numpy as np
import pytest
import torch
import tvm
from tvm import relax

from raydgp.models.transposed import without_transposed


def module(x, weight, stride, padding, extra):
    builder, data = relax.BlockBuilder(), relax.Var("x", relax.TensorType(x.shape, "float32"))
    options = {"strides": [stride, 1], "padding": [padding] * 4, "output_padding": [extra, 0]}
    with builder.function("main", [data]):
        with builder.dataflow():
            out = builder.emit_output(relax.op.nn.conv2d_transpose(data, relax.const(weight), **options))
        builder.emit_func_output(out)
    return builder.get()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra"), [(2, 2, 0, 0), (4, 2, 1, 0), (3, 2, 1, 1), (5, 3, 2, 1), (2, 3, 0, 0)]
)
def test_the_numbers_are_torchs(kernel, stride, padding, extra):
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype("f") for shape in ((2, 3, 5, 6), (3, 4, kernel, 3)))
    plain = without_transposed(module(x, weight, stride, padding, extra))
    assert "conv2d_transpose" not in plain.script()
    main = relax.VirtualMachine(tvm.compile(plain, target="llvm"), tvm.cpu())["main"]
    arguments = torch.tensor(x), torch.tensor(weight), None, (stride, 1), padding, (extra, 0)
    wanted = torch.nn.functional.conv_transpose2d(*arguments).numpy()
    np.testing.assert_allclose(main(tvm.runtime.tensor(x)).numpy(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rank", "groups"), [(1, 1), (1, 2), (2, 2), (2, 4), (3, 1), (3, 2)])
def test_of_any_number_of_axes_and_groups(rank, groups):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 4, *range(4, 4 + rank))).astype("f")
    weight = rng.standard_normal((4, 3, *range(4, 4 - rank, -1))).astype("f")
    builder, data = relax.BlockBuilder(), relax.Var("x", relax.TensorType(x.shape, "float32"))
    call = getattr(relax.op.nn, f"conv{rank}d_transpose")
    with builder.function("main", [data]):
        with builder.dataflow():
            options = {"strides": [2] * rank, "padding": [1] * 2 * rank, "output_padding": [0] * rank}
            out = builder.emit_output(call(data, relax.const(weight), groups=groups, **options))
        builder.emit_func_output(out)
    plain = without_transposed(builder.get())
    assert "_transpose" not in plain.script()
    main = relax.VirtualMachine(tvm.compile(plain, target="llvm"), tvm.cpu())["main"]
    wanted = getattr(torch.nn.functional, f"conv_transpose{rank}d")(
        torch.tensor(x), torch.tensor(weight), stride=2, padding=1, groups=groups
    )
    np.testing.assert_allclose(main(tvm.runtime.tensor(x)).numpy(), wanted.numpy(), rtol=0, atol=1e-5)


def test_padding_beyond_the_first_pixel_is_left_to_tvm():
    x, weight = np.zeros((1, 2, 5, 5), "f"), np.zeros((2, 2, 2, 2), "f")
    assert "conv2d_transpose" in without_transposed(module(x, weight, 2, 2, 0)).script()
