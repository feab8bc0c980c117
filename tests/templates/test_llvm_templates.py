"""CPU templates against the reference: random configurations of odd shapes."""

import numpy as np
import pytest
import tvm

from raydgp import config_space
from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for, template_named
from tests.support.llvm_cases import SHAPES, WINOGRAD

SPACES = {name: config_space(workload, "llvm") for name, workload in SHAPES.items()} | {
    name: config_space(workload, "llvm", "winograd") for name, workload in WINOGRAD.items()
}
DRAWS = 5


def run(space, index):
    """The kernel's answer in its logical layout, its output full of NaN beforehand."""
    template, knobs, target = template_for(space), space.decode(int(index)), Target.here("llvm")
    kernel = tvm.compile(template.schedule(space.workload, knobs, target), target=to_tvm(target))
    inputs = template.pack(space.workload, knobs, random_inputs(space.workload, 0))
    out = tvm.runtime.tensor(np.full(template.out_shape(space.workload, knobs), np.nan, np.float32))
    kernel["main"](*(tvm.runtime.tensor(array) for array in inputs), out)
    return template.unpack(space.workload, knobs, out.numpy())


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_configuration_computes_the_operator(space):
    expected = reference(space.workload, random_inputs(space.workload, 0))
    for index in [space.default, *space.sample_valid(DRAWS, np.random.default_rng(1))]:
        actual = run(space, index)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=str(space.decode(int(index)))
        )


def test_unknown_template_names_the_known_ones():
    with pytest.raises(InputError, match=r"did you mean .llvm\.conv2d_nchwc\.v1"):
        template_named("llvm.conv3d.v1")
