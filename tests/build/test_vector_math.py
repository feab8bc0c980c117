"""Transcendental functions in vector code: right to the units in the last place that their docstrings say."""

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

from raydgp.build.pipeline import PIPELINE
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from tests.support.functions import DENSE, ONE, RNG, SIGNED_EDGES, last_places

TWO = {"pow": (np.power, 1), "atan2": (np.arctan2, 6), "hypot": (np.hypot, 1), "copysign": (np.copysign, 0)}
QUOTIENTS: dict[str, Callable] = {
    "truncdiv": lambda a, b: np.trunc(a / b),
    "truncmod": np.fmod,
    "floordiv": np.floor_divide,
    "floormod": np.mod,
}


def computed(function: Callable, *inputs: np.ndarray, lanes: int = 16) -> tuple[np.ndarray, str]:
    """What the kernel of an elementwise function gives, and its assembler code."""
    (count,) = inputs[0].shape
    count = count // lanes * lanes
    inputs = tuple(array[:count] for array in inputs)
    read = [te.placeholder((count,), str(array.dtype)) for array in inputs]
    sch = Schedule(te.create_prim_func([*read, te.compute((count,), lambda i: function(*(a[i] for a in read)), "out")]))
    _, lane = sch.split(sch.get_loops(sch.get_sblock("out"))[0], [None, lanes])
    sch.vectorize(lane)
    library = tvm.compile(sch.mod, target=to_tvm(Target.here("llvm")), tir_pipeline=PIPELINE)
    out = tvm.runtime.empty((count,), str(inputs[0].dtype))
    library["main"](*map(tvm.runtime.tensor, inputs), out)
    return out.numpy(), library.mod.inspect_source("asm")


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_are_numpys(name):
    wanted_of, places = ONE[name]
    inputs = DENSE[np.abs(DENSE) < 1e8] if name in ("sin", "cos", "tan") else DENSE
    actual, assembler = computed(getattr(tirx, name), inputs)
    with np.errstate(all="ignore"):
        wanted = wanted_of(inputs[: len(actual)].astype(np.float64))
    errors = last_places(actual, wanted)
    worst = int(np.argmax(errors))
    assert errors[worst] <= places, f"{name}({inputs[worst]}) is {actual[worst]}, not {wanted[worst]}"
    assert f"{name}f" not in assembler


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_beyond_what_can_be_reduced_stay_within_bounds(name):
    actual, _ = computed(getattr(tirx, name), np.geomspace(1e8, 3e38, 1024).astype(np.float32))
    assert (np.abs(actual) <= 1).all()
    assert np.isnan(computed(getattr(tirx, name), np.full(32, np.inf, np.float32))[0]).all()


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_are_numpys(name):
    wanted_of, places = TWO[name]
    edges = np.repeat(SIGNED_EDGES, len(SIGNED_EDGES)), np.tile(SIGNED_EDGES, len(SIGNED_EDGES))
    x = np.concatenate([edges[0], np.abs(DENSE), RNG.uniform(0, 3, 20_000).astype(np.float32)])
    y = np.concatenate([edges[1], RNG.permutation(DENSE), RNG.integers(-30, 30, 20_000).astype(np.float32)])
    actual, assembler = computed(getattr(tirx, name), x, y)
    with np.errstate(all="ignore"):
        wanted = wanted_of(*(side[: len(actual)].astype(np.float64) for side in (x, y)))
    errors = last_places(actual, wanted)
    worst = int(np.argmax(errors))
    assert errors[worst] <= places, f"{name}({x[worst]}, {y[worst]}) is {actual[worst]}, not {wanted[worst]}"
    assert f"{name}f" not in assembler


@pytest.mark.parametrize("exponent", [-2, -1, -0.5, 0.5, 1, 2, 3, 4, 2.2])
def test_powers_by_a_constant(exponent):
    x = np.abs(DENSE[np.abs(DENSE) < 1e9])
    actual, _ = computed(lambda x: tirx.power(x, tirx.const(float(np.float32(exponent)), "float32")), x)
    with np.errstate(all="ignore"):
        wanted = x[: len(actual)].astype(np.float64) ** np.float32(exponent).astype(np.float64)
    normal = wanted >= 2**-126  # a product may round twice below
    assert last_places(actual, wanted)[normal].max() <= 3


@pytest.mark.parametrize("name", QUOTIENTS)
def test_quotients_of_integers_are_exact_and_no_scalar_code(name):
    a = np.concatenate([RNG.integers(-(2**31), 2**31, 4096), RNG.integers(-99, 99, 4096)]).astype(np.int32)
    b = np.concatenate([RNG.integers(-(2**31), 2**31, 2048), RNG.integers(-99, 99, 6144)]).astype(np.int32)
    b[b == 0] = 7
    actual, assembler = computed(getattr(tirx, name), a, b)
    assert (actual == QUOTIENTS[name](a.astype(np.int64), b.astype(np.int64))).all()
    assert "idiv" not in assembler


def test_functions_of_functions_and_of_half_precision():
    x = RNG.uniform(-20, 20, 4096).astype(np.float32)
    mish, _ = computed(lambda x: x * tirx.tanh(tirx.log(tirx.exp(x) + tirx.const(1.0, "float32"))), x)
    np.testing.assert_allclose(mish, x * np.tanh(np.log1p(np.exp(x.astype(np.float64)))), rtol=1e-5, atol=1e-5)
    low = np.minimum(x, 10).astype(np.float16)
    half, assembler = computed(tirx.exp, low)
    np.testing.assert_allclose(half, np.exp(low.astype(np.float64)), rtol=1e-3, atol=1e-7)
    assert "expf" not in assembler


def test_what_is_computed_on_a_condition_reads_nothing_else():
    x = te.placeholder((6,), name="x")
    out = tvm.runtime.empty((1 << 26,), "float32")
    lazy = te.compute((1 << 26,), lambda i: te.if_then_else(i < 6, tirx.exp(x[i]), 0.0) + 1.0, name="out")
    library = tvm.compile(te.create_prim_func([x, lazy]), target=to_tvm(Target.here("llvm")), tir_pipeline=PIPELINE)
    library["main"](tvm.runtime.tensor(np.arange(6, dtype=np.float32)), out)  # 256 MB beyond x are not ours to read
    np.testing.assert_allclose(out.numpy()[:6], np.exp(np.arange(6.0)) + 1, rtol=1e-6)
    assert (out.numpy()[6:] == 1).all()


def test_conditions_one_within_the_other_are_each_rewritten_once():
    """As a concatenation of many parts is: twice the work with each would take days."""
    x = te.placeholder((32,), name="x")

    def element(i):
        value = tirx.exp(x[i])
        for part in range(31, 0, -1):
            value = te.if_then_else(i < part, tirx.tanh(x[i]) + float(part), value)
        return value

    nested = te.create_prim_func([x, te.compute((32,), element, name="out")])
    library = tvm.compile(nested, target=to_tvm(Target.here("llvm")), tir_pipeline=PIPELINE)
    given, out = np.linspace(-1, 1, 32, dtype=np.float32), tvm.runtime.empty((32,), "float32")
    library["main"](tvm.runtime.tensor(given), out)
    wanted = np.append(np.tanh(given[:-1]) + np.arange(1, 32), np.exp(given[-1]))
    np.testing.assert_allclose(out.numpy(), wanted, rtol=1e-6)
