"""No kernel of a model calls the C library's mathematics, which takes one number at a time."""

import shutil
import subprocess

import pytest

from raydgp.models.lowering import compile_model, lower
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from tests.support.architectures import ARCHITECTURES
from tests.support.networks import imported

TARGET = Target.here("llvm")
FAST = ("efficientnet", "gpt")
LIBM = """
    acosf acoshf asinf asinhf atan2f atanf atanhf coshf cosf erff exp10f exp2f expf hypotf log10f log1pf log2f logf powf
    rintf roundf sinf sinhf sqrtf tanf tanhf
"""
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES]


def default(workload):
    space = config_space(workload, TARGET)
    return template_for(space).schedule(workload, space.decode(space.default), TARGET)["main"]


@pytest.mark.skipif(shutil.which("nm") is None, reason="reads symbols by nm of binutils")
@pytest.mark.parametrize("name", NAMES)
def test_no_kernel_calls_libm(name, tmp_path):
    library = tmp_path / "model.so"
    compile_model(lower(imported(*ARCHITECTURES[name]()), TARGET), TARGET, default).export_library(str(library))
    answer = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True)
    called = {line.split()[-1].partition("@")[0] for line in answer.stdout.splitlines()}
    assert called.isdisjoint({*LIBM.split(), *(function.removesuffix("f") for function in LIBM.split())})
