"""Steps of an epilogue: what they compute, in NumPy and in TVM's templates alike, and what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from raydgp.errors import InputError
from raydgp.workloads import Dense, Fused, from_dict

X = np.linspace(-5, 5, 64, dtype=np.float32).reshape(1, 64)
STEPS: dict[str, Callable] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "clip:-1:inf": lambda x: x.clamp(min=-1),
    "leaky_relu:0.1": lambda x: F.leaky_relu(x, 0.1),
    "plus:2": lambda x: x + 2,
    "times:0.5": lambda x: x / 2,
    "gated sigmoid": F.silu,
    f"gated plus:3 clip:0:6 times:{1 / 6!r}": F.hardswish,
}


def layer(*steps: str) -> Fused:
    return Fused(anchor=Dense(n=1, k=64, m=64), epilogue=steps)


@pytest.mark.parametrize("step", STEPS)
def test_steps_are_torchs_functions_and_come_back_from_records(step):
    workload = layer(step)
    assert from_dict(workload.to_dict()) == workload
    out = workload.reference(X, np.eye(64, dtype=np.float32))
    np.testing.assert_allclose(out, STEPS[step](torch.from_numpy(X)).numpy(), rtol=1e-5, atol=1e-6)


def test_a_prelu_takes_a_slope_for_each_channel():
    slopes = np.linspace(-1, 1, 64, dtype=np.float32)
    workload = layer("prelu")
    assert workload.input_shapes[-1] == (64,)
    out = workload.reference(X, np.eye(64, dtype=np.float32), slopes)
    np.testing.assert_allclose(out, F.prelu(torch.from_numpy(X), torch.from_numpy(slopes)).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "step", ["swish", "clip:1", "plus:nan", "times:x", "relu:1", "gated", "gated swish", "gated gated relu", 3]
)
def test_strange_steps_are_refused_in_one_line(step):
    with pytest.raises(InputError, match="in the epilogue") as refused:
        layer(step)
    assert "\n" not in str(refused.value)
