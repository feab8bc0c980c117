"""What a configuration means for the machine, against numbers worked out by hand."""

import numpy as np
import pytest

from raydgp import Conv2d, Dense, DepthwiseConv2d, config_space
from raydgp.templates.columns import machine_features

LAYERS = [
    (Conv2d(n=1, ci=64, h=14, w=14, co=128, kh=3, kw=3, padding=(1, 1)), Conv2d(n=2, ci=3, h=9, w=7, co=8, kh=1, kw=1)),
    (
        DepthwiseConv2d(n=1, ci=64, h=14, w=14, kh=3, kw=3, padding=(1, 1)),
        DepthwiseConv2d(n=1, ci=8, h=9, w=9, kh=5, kw=5),
    ),
    (Dense(n=64, k=256, m=512), Dense(n=33, k=64, m=128)),
]


@pytest.mark.parametrize("target", ["llvm", "cuda"])
@pytest.mark.parametrize("layers", LAYERS, ids=lambda layers: layers[0].op)
def test_layers_of_a_template_have_the_same_positive_columns(layers, target):
    names = set()
    for layer in layers:
        space = config_space(layer, target)
        picks = space.sample_valid(200, np.random.default_rng(0))
        columns, values = machine_features(space, picks)
        names.add(tuple(columns))
        np.testing.assert_array_equal(values[:, : len(space.feature_names)], space.features(picks))
        assert (values[:, len(space.feature_names) :] > 0).all()
        np.testing.assert_array_equal(machine_features(space, picks[::-1])[1], values[::-1])
    assert len(names) == 1


def test_a_convolution_on_a_cpu_by_hand():
    space = config_space(LAYERS[0][0], "llvm")
    knobs = space.decode(space.default) | {"tile_co": (4, 2, 16), "tile_ci": (2, 2, 8, 2), "tile_oh": 4, "tile_ow": 5}
    names, (row,) = machine_features(space, [space.encode(knobs | {"unroll_kernel": 1, "parallel": 2})])
    got = dict(zip(names, row.tolist(), strict=True))
    expected = {"vectors": 2, "points": 20, "accumulators": 40, "body": 40 * 2 * 3, "multiplies_per_load": 40 / 22}
    expected |= {"shared": 4 * 4, "imbalance": 1, "terms": 9 * 64 / 2, "waste": 16 * 15 / 14**2, "tiles_in_row": 3}
    expected |= {"read_by_tile": 6 * 7 * 32, "read_by_row": 6 * 16 * 32, "weights": 32 * 9 * 32, "kernel": 9, "ci": 64}
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-6)
