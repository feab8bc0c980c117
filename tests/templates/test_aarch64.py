"""CPU templates' code for AArch64, run by an emulator: `apt-get install qemu-user-static gcc-aarch64-linux-gnu`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from numpy.typing import NDArray
from tvm import te, tirx
from tvm.s_tir import Schedule

from raydgp import config_space
from raydgp.build.compile import compile_executable
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for
from raydgp.templates.traced.extract import kernel
from tests.support.functions import DENSE, ONE, last_places
from tests.support.llvm_cases import SHAPES, WINOGRAD
from tests.support.traced_kernels import KERNELS, primitive

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
MAIN = Path(__file__).parents[1] / "support" / "aarch64_main.c"
LINUX = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "num-cores": 2}  # Apple's objects are not Linux's; its code is
NEOVERSE, APPLE = (Target.of({**LINUX, "mcpu": name}) for name in ("neoverse-n1", "apple-m1"))
DRAWS = 2
CASES = {name: (workload, "direct") for name, workload in SHAPES.items()} | {
    name: (workload, "winograd") for name, workload in WINOGRAD.items()
}
Array = NDArray[np.float32]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which(COMPILER) and shutil.which(EMULATOR)), reason=f"needs {COMPILER}, {EMULATOR}"),
]


def emulated(
    module: tvm.IRModule, target: Target, program: Path, inputs: Sequence[Array], shape: Sequence[int]
) -> Array:
    """The output of a kernel, full of NaN beforehand. It is linked without libm: a call of that would be a slow one."""

    def link(library: str, objects: list[str], **_: Any) -> None:
        subprocess.run([COMPILER, "-O1", "-w", "-static", "-o", str(program), str(MAIN), *objects], check=True)
        shutil.copy(program, library)

    compile_executable(module, target).export_library(str(program) + ".so", fcompile=link)
    given = [*inputs, np.full(shape, np.nan, np.float32)]
    message = [np.int64(len(given)).tobytes()]
    for array in given:
        message += [np.array([array.ndim, *array.shape], np.int64).tobytes(), np.ascontiguousarray(array).tobytes()]
    answer = subprocess.run([EMULATOR, str(program)], input=b"".join(message), capture_output=True)
    assert answer.returncode == 0, answer.stderr.decode()
    return np.frombuffer(answer.stdout, np.float32).reshape(shape)


def check(space: ConfigSpace, target: Target, program: Path, inputs: Sequence[Array], expected: Array) -> None:
    """The default and random configurations compute what is expected."""
    template = template_for(space)
    for index in [space.default, *space.sample_valid(DRAWS, np.random.default_rng(1))]:
        knobs = space.decode(int(index))
        module, shape = template.schedule(space.workload, knobs, target), template.out_shape(space.workload, knobs)
        packed = template.pack(space.workload, knobs, tuple(inputs))
        actual = template.unpack(space.workload, knobs, emulated(module, target, program, packed, shape))
        assert actual.shape == expected.shape
        largest = np.abs(expected).max()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * largest, err_msg=str(knobs))


both = pytest.mark.parametrize("target", [NEOVERSE, APPLE], ids=["neoverse-n1", "apple-m1"])


@both
@pytest.mark.parametrize(("workload", "algorithm"), CASES.values(), ids=CASES)
def test_templates_compute_the_operator(workload: Any, algorithm: str, target: Target, tmp_path: Path) -> None:
    inputs = random_inputs(workload, 0)
    space = config_space(workload, target, algorithm)
    check(space, target, tmp_path / "kernel", inputs, reference(workload, inputs))


@pytest.mark.parametrize("name", KERNELS)
def test_traced_kernels_compute_what_numpy_does(name: str, tmp_path: Path) -> None:
    workload = kernel(name, primitive(name), NEOVERSE)
    inputs = random_inputs(workload, 0)
    check(config_space(workload, NEOVERSE), NEOVERSE, tmp_path / "kernel", inputs, KERNELS[name][2](*inputs))


@both
@pytest.mark.parametrize("name", ONE)
def test_functions_are_numpys(name: str, target: Target, tmp_path: Path) -> None:
    wanted_of, places = ONE[name]
    inputs = DENSE[np.abs(DENSE) < 1e8] if name in ("sin", "cos", "tan") else DENSE
    inputs = inputs[: len(inputs) // 4 * 4]
    read = te.placeholder(inputs.shape, "float32")
    sch = Schedule(te.create_prim_func([read, te.compute(inputs.shape, lambda i: getattr(tirx, name)(read[i]), "out")]))
    _, lane = sch.split(sch.get_loops(sch.get_sblock("out"))[0], [None, 4])
    sch.vectorize(lane)
    actual = emulated(sch.mod, target, tmp_path / "kernel", [inputs], inputs.shape)
    with np.errstate(all="ignore"):
        errors = last_places(actual, wanted_of(inputs.astype(np.float64)))
    worst = int(np.argmax(errors))
    assert errors[worst] <= places, f"{name}({inputs[worst]}) is {actual[worst]}"
