"""The reference against the operators' definitions, written out as loops."""

import numpy as np
import pytest

from raydgp import Conv2d, Dense, DepthwiseConv2d
from raydgp.templates.reference import random_inputs, reference

CONVOLUTIONS = [
    {"stride": (1, 1)},
    {"stride": (2, 1), "padding": (1, 0)},
    {"dilation": (2, 1), "padding": (2, 3), "n": 2},
    {"kh": 1, "kw": 1, "stride": (2, 2)},
]


def by_definition(w, data, weight, depthwise):
    """One output element at a time, float64."""
    padded = np.pad(data.astype(float), ((0, 0), (0, 0), (w.padding[0],) * 2, (w.padding[1],) * 2))
    out = np.zeros((w.n, weight.shape[0], w.oh, w.ow))
    for n, f, y, x in np.ndindex(out.shape):
        for a, b in np.ndindex(w.kh, w.kw):
            pixel = padded[n, :, y * w.stride[0] + a * w.dilation[0], x * w.stride[1] + b * w.dilation[1]]
            out[n, f, y, x] += pixel[f] * weight[f, 0, a, b] if depthwise else pixel @ weight[f, :, a, b]
    return out


@pytest.mark.parametrize("kind", [Conv2d, DepthwiseConv2d])
@pytest.mark.parametrize("geometry", CONVOLUTIONS)
def test_convolution_is_its_definition(kind, geometry):
    channels = {"ci": 5, "co": 4} if kind is Conv2d else {"ci": 5}
    workload = kind(**{"n": 1, "h": 8, "w": 7, "kh": 3, "kw": 2} | channels | geometry)
    data, weight = random_inputs(workload, 0)
    expected = by_definition(workload, data, weight, kind is DepthwiseConv2d)
    actual = reference(workload, (data, weight))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_dense_is_its_definition():
    data, weight = random_inputs(Dense(n=3, k=50, m=7), 0)
    expected = [[sum(float(a) * float(b) for a, b in zip(row, w, strict=True)) for w in weight] for row in data]
    np.testing.assert_allclose(reference(Dense(n=3, k=50, m=7), (data, weight)), expected, rtol=1e-5, atol=1e-5)


def test_inputs_are_the_seeds_alone():
    workload = Dense(n=3, k=5, m=7)
    assert all((a == b).all() for a, b in zip(random_inputs(workload, 1), random_inputs(workload, 1), strict=True))
    assert (random_inputs(workload, 1)[0] != random_inputs(workload, 2)[0]).any()
