import numpy as np
import pytest
import tvm

from raydgp.errors import RaydgpError
from raydgp.run import peak, peak_kernel
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm


def test_the_peak_is_that_of_a_processor():
    gflops = peak.measured_peak_gflops(threads=1)
    assert 1 < gflops < 2000


def test_of_narrower_vectors_it_is_lower():
    here = Target.here("llvm")
    if here.vector_bits <= 128 or here.instruction_set == "neon":
        pytest.skip("this processor has no wider vectors than the baseline")
    assert peak.peak_of(Target.here("llvm/x86-64"), 1) < 0.75 * peak.peak_of(here, 1)  # no fused multiply-add either


def test_every_step_is_done():
    """acc = acc * 1/2 + 1 comes to 2 - 2^(1 - steps) exactly."""
    kernel = tvm.compile(peak_kernel.multiply_adds(threads=2, lanes=4, steps=10), target=to_tvm(Target.here("llvm")))
    operands = tvm.runtime.tensor(np.array([0.5] * 4 + [1.0] * 4, np.float32))
    out = tvm.runtime.empty((2 * 4 * peak_kernel.ACCUMULATORS,), "float32")
    kernel["main"](operands, out)
    np.testing.assert_array_equal(out.numpy(), np.float32(2 - 2**-9))


def test_the_accumulators_stay_in_registers():
    """Between the multiply-adds nothing is loaded or stored, else memory's speed is measured."""
    target = Target.here("llvm")
    compiled = tvm.compile(peak_kernel.multiply_adds(threads=1, lanes=target.vector_bits // 32), target=to_tvm(target))
    lines = compiled.mod.inspect_source("asm").splitlines()
    arithmetic = [n for n, line in enumerate(lines) if "fmadd" in line or "fmla" in line]
    assert len(arithmetic) >= peak_kernel.ACCUMULATORS
    assert not [line for line in lines[arithmetic[0] : arithmetic[-1]] if "(%" in line or "[" in line]


def test_a_process_that_fails_is_an_error(monkeypatch):
    child = peak.Child
    monkeypatch.setattr(peak, "Child", lambda _, *rest: child("json", *rest))
    with pytest.raises(RaydgpError, match="cannot start"):
        peak.measured_peak_gflops(threads=1)
