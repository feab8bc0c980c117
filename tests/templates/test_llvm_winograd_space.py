"""Winograd's CPU space: what it holds, what it refuses, and the transforms that give it its meaning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp import Conv2d, config_space, zoo
from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.llvm.registers import Registers
from raydgp.templates.transforms import matrices
from raydgp.workloads import Fused

SERVED = [t.workload for net in zoo.NETWORKS for t in zoo.tasks(net) if getattr(t.workload, "kh", 0) in (3, 5)]
SERVED = [w for w in SERVED if isinstance(w, Conv2d) and w.stride == (1, 1)]
edges = st.integers(6, 60)


@pytest.mark.parametrize("workload", SERVED, ids=str)
def test_default_of_every_layer_is_valid_and_so_is_a_fair_share_of_draws(workload):
    space = config_space(workload, "llvm", "winograd")
    assert space.valid([space.default])[0]
    assert space.valid(space.sample(5000, np.random.default_rng(0))).mean() > 0.05


@given(
    st.sampled_from(["llvm", "llvm/haswell", "llvm/neoverse-n1"]),
    edges,
    edges,
    st.integers(1, 100),
    st.integers(1, 100),
    st.sampled_from([3, 4, 5]),
    st.integers(0, 2**32 - 1),
)
def test_valid_ones_fit_the_registers_and_multiply_less(target, h, w, ci, co, r, seed):
    space = config_space(Conv2d(n=1, ci=ci, h=h, w=w, co=co, kh=r, kw=r, padding=(1, 1)), target, "winograd")
    registers = Registers.of(Target.named(target))
    workload = space.workload
    assert isinstance(workload, Conv2d)
    assert space.valid([space.default])[0]
    for index in space.sample_valid(10, np.random.default_rng(seed)):
        knobs = space.decode(int(index))
        _, _, vectors, lanes = knobs["tile_co"]
        assert vectors * registers.holding(lanes) * knobs["tile_h"] * knobs["tile_w"] <= registers.count - 2
        m = knobs["tile"]
        tiles = -(-workload.oh // m) * -(-workload.ow // m)
        assert (m + r - 1) ** 2 * tiles < r * r * workload.oh * workload.ow


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ({"kh": 3, "kw": 5}, "square kernel"),
        ({"kh": 7, "kw": 7}, "square kernel"),
        ({"kh": 3, "kw": 3, "stride": (2, 2)}, "without stride"),
        ({"kh": 3, "kw": 3, "dilation": (2, 2)}, "without stride"),
        ({"kh": 3, "kw": 3, "h": 3, "w": 3}, "saves nothing"),
    ],
)
def test_what_it_does_not_serve_is_refused(shape, why):
    with pytest.raises(InputError, match=why):
        config_space(Conv2d(**({"n": 1, "ci": 16, "h": 14, "w": 14, "co": 16} | shape)), "llvm", "winograd")


def test_plain_data_is_refused():
    anchor = Conv2d(n=1, ci=3, h=14, w=14, co=16, kh=3, kw=3)
    with pytest.raises(InputError, match="no schedule template"):
        config_space(Fused(anchor=anchor, block_out=16, algorithm="winograd"), "llvm")


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (6, 3), (3, 4), (2, 5), (4, 5)])
def test_the_transforms_are_the_convolution(m, r):
    a, b, g = matrices(m, r, (0, 1, -1, 2, -2, 0.5, -0.5)[: m + r - 2])
    rng = np.random.default_rng(m)
    data, weight = rng.standard_normal((m + r - 1, m + r - 1)), rng.standard_normal((r, r))
    expected = [[(data[y : y + r, x : x + r] * weight).sum() for x in range(m)] for y in range(m)]
    np.testing.assert_allclose(a.T @ ((g @ weight @ g.T) * (b.T @ data @ b)) @ a, expected, atol=1e-10)
