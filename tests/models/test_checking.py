"""What an import is checked by computes what numpy does, also where its loops are turned round because it is large."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax

from raydgp.models.importing.checking import runnable

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(8, 1000), (1024, 1000), (1024, 1024)],
    ids=["small", "large", "large, in vectors"],
)
def test_products_sums_and_large_constants(rows: int, columns: int) -> None:
    weight = RNG.standard_normal((512, columns)).astype(np.float32)
    shift = RNG.standard_normal((columns,)).astype(np.float32)
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType((rows, 512), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            product = builder.emit(relax.op.matmul(x, relax.const(weight)))
            shifted = builder.emit(relax.op.add(product, relax.const(shift)))
            whole = builder.emit_output(relax.Tuple([shifted, builder.emit(relax.op.sum(shifted, [0]))]))
        builder.emit_func_output(whole)
    given = RNG.standard_normal((rows, 512)).astype(np.float32)
    expected = given.astype(np.float64) @ weight + shift
    outputs = runnable(builder.get())([given])
    for actual, wanted in zip(outputs, (expected, expected.sum(0)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
