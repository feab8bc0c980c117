"""Products of two computed matrices: right in every configuration, whatever their shapes, and fit for vectors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import te

from raydgp import config_space
from raydgp.build.compile import compile_executable
from raydgp.records import Status
from raydgp.run.timing import case, measure
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.templates.traced.extract import kernel
from tests.support.kernels import build
from tests.support.traced_kernels import array

SETTINGS = MeasureSettings(repeat=1, min_repeat_ms=0, tolerance=1e-5)
AVX2 = Target.here("llvm/haswell")
AFTER = {
    "nothing": lambda product, mask: product,
    "scale": lambda product, mask: product * 0.125,
    "mask": lambda product, mask: product * 0.5 + mask,
}


def product(batch: tuple[int, ...], i: int, j: int, k: int, transposed: str = "", after: str = "nothing") -> Any:
    """The function of a product, the operands that `transposed` names being stored the other way round."""
    left = array(*batch, *((k, i) if "left" in transposed else (i, k)), name="left")
    right = array(*batch, *((j, k) if "right" in transposed else (k, j)), name="right")
    mask = array(j, name="mask")
    axis = te.reduce_axis((0, k), "axis")

    def element(*at: Any) -> Any:
        *z, row, column = at
        a = left[(*z, axis, row) if "left" in transposed else (*z, row, axis)]
        return te.sum(a * right[(*z, column, axis) if "right" in transposed else (*z, axis, column)], axis=axis)

    made = te.compute((*batch, i, j), element, name="product")
    if after != "nothing":
        inner = made
        made = te.compute((*batch, i, j), lambda *at: AFTER[after](inner[at], mask[at[-1]]), name="after")
    return te.create_prim_func([left, right, *([mask] if after == "mask" else []), made])


def knobs_of(space: Any) -> set[str]:
    return {knob.name for knob in space.knobs}


@settings(max_examples=12, deadline=None)
@given(
    batch=st.sampled_from([(), (1,), (3,), (1, 2)]),
    i=st.integers(4, 40),
    j=st.integers(1, 70),
    k=st.integers(2, 33),
    transposed=st.sampled_from(["", "left", "right", "left right"]),
    after=st.sampled_from(list(AFTER)),
    data=st.data(),
)
def test_any_product_is_right_in_any_configuration(batch, i, j, k, transposed, after, data):
    workload = kernel("product", product(batch, i, j, k, transposed, after), AVX2)
    space = config_space(workload, AVX2)
    assert knobs_of(space) <= {"split_0", "split_1"}
    inputs, expected = case(workload, space.template)
    left, right, *mask = inputs
    left = left.swapaxes(-1, -2) if "left" in transposed else left
    right = right.swapaxes(-1, -2) if "right" in transposed else right
    exact = AFTER[after](left.astype(float) @ right, mask[0] if mask else 0)
    np.testing.assert_allclose(expected, exact, rtol=1e-4, atol=1e-4)
    knobs = space.decode(data.draw(st.integers(0, space.size - 1)))
    library = build(space, space.encode(knobs), AVX2)
    status, _, error, _ = measure(library, space.template, workload, knobs, "llvm", SETTINGS)
    assert (status, error) == (Status.OK, ""), knobs


@pytest.mark.parametrize(("i", "j"), [(197, 197), (128, 128), (50, 64), (13, 77)])
@pytest.mark.parametrize("transposed", ["", "right"])
def test_the_default_sums_vectors_in_registers(i, j, transposed):
    workload = kernel("product", product((2,), i, j, 64, transposed, "scale"), AVX2)
    space = config_space(workload, AVX2)
    module = template_for(space).schedule(workload, space.decode(space.default), AVX2)
    code = compile_executable(module, AVX2).mod.inspect_source("asm")
    tile = space.decode(space.default)
    assert code.count("\tvfmadd") >= tile["split_0"] * tile["split_1"] > 4
    assert "\tvfmadd231ss" not in code


def test_a_vector_times_a_matrix_a_matrix_times_itself_and_other_sums_are_others():
    few = kernel("few", product((2,), 1, 64, 64), AVX2)
    x, y, k = array(8, 16), array(8, 16, name="y"), te.reduce_axis((0, 16), "k")
    window = te.compute((8, 8), lambda i, j: te.sum(x[i, k] * y[j, k // 2], axis=k), name="window")
    itself = te.compute((8, 8), lambda i, j: te.sum(x[i, k] * x[j, k], axis=k), name="itself")
    others = [te.create_prim_func(each) for each in ([x, y, window], [x, itself])]
    for workload in (few, *(kernel("other", each, AVX2) for each in others)):
        assert not knobs_of(config_space(workload, AVX2)) & {"split_0", "split_1"}
