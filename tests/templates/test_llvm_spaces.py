"""CPU spaces: their size, what they hold, and what they refuse."""

from contextlib import suppress
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp import Conv2d, Dense, DepthwiseConv2d, config_space, zoo
from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.llvm.registers import (
    BLOCKS,
    LANES,
    MAX_UNROLLED_FMAS,
    MAX_WASTE,
    MIN_ACCUMULATORS,
    whole_vectors,
)
from raydgp.templates.registry import entry_for
from raydgp.workloads import Fused

TASKS = [pytest.param(t.workload, id=f"{net}-{t.name}") for net in zoo.NETWORKS for t in zoo.tasks(net)]
PROCESSORS = [("llvm/haswell", 8, 16), ("llvm/skylake-avx512", 16, 32), ("llvm/neoverse-n1", 4, 32)]
extents = st.integers(1, 40)


@st.composite
def workloads(draw):
    kind = draw(st.sampled_from(["conv", "depthwise", "dense"]))
    if kind == "dense":
        return Dense(n=draw(extents), k=draw(extents), m=draw(st.integers(1, 300)))
    kernel = draw(st.integers(1, 5))
    size = {"n": draw(st.integers(1, 3)), "ci": draw(st.integers(1, 130)), "kh": kernel, "kw": kernel}
    size |= {"h": kernel + draw(extents), "w": kernel + draw(extents), "padding": (draw(st.integers(0, 2)),) * 2}
    return Conv2d(**size, co=draw(st.integers(1, 130))) if kind == "conv" else DepthwiseConv2d(**size)


@pytest.mark.parametrize("workload", TASKS)
def test_default_of_every_layer_is_valid_and_so_is_a_fair_share_of_draws(workload):
    space = config_space(workload, "llvm")
    assert space.valid([space.default])[0]
    assert space.valid(space.sample(2000, np.random.default_rng(0))).mean() > 0.1


def test_a_3x3_layer_of_resnet18_has_more_than_1e5_valid_configurations():
    for name, workload, _ in zoo.tasks("resnet18"):
        if workload.kh == 3:
            space = config_space(workload, "llvm")
            assert space.size * space.valid(space.sample(5000, np.random.default_rng(0))).mean() > 1e5, name


@given(workloads(), st.data())
def test_any_shape_has_a_valid_default_and_every_index_its_knobs(workload, data):
    space = config_space(workload, "llvm")
    assert space.valid([space.default])[0]
    index = data.draw(st.integers(0, space.size - 1))
    assert space.encode(space.decode(index)) == index


@pytest.mark.parametrize(("target", "lanes", "registers"), [("llvm", 16, 32), *PROCESSORS])
@given(workloads(), st.integers(0, 2**32 - 1))
def test_valid_ones_fit_the_registers_and_cover_all_channels(target, lanes, registers, workload, seed):
    space = config_space(workload, target)
    enough = min(MIN_ACCUMULATORS, _tile(workload, space.decode(space.default), lanes)[0])
    for index in space.sample(50, np.random.default_rng(seed)):
        knobs = space.decode(int(index))
        accumulators, weights, unrolled = _tile(workload, knobs, lanes)
        operands = 2 if lanes == LANES else weights + 1  # AVX-512 reads the number that multiplies from memory
        fits = enough <= accumulators <= registers - operands and unrolled <= MAX_UNROLLED_FMAS
        if not isinstance(workload, Dense):
            points = knobs["tile_oh"] * knobs["tile_ow"]
            computed = -(-workload.oh // knobs["tile_oh"]) * -(-workload.ow // knobs["tile_ow"]) * points
            fits &= computed <= MAX_WASTE * workload.oh * workload.ow
        assert space.valid([index])[0] == fits
        channels = getattr(workload, "co", getattr(workload, "m", None))
        assert prod(_block(knobs)) == (workload.ci if channels is None else whole_vectors(channels))


@pytest.mark.parametrize("workload", TASKS)
def test_a_processor_changes_what_is_valid_and_the_default_but_not_the_configurations(workload):
    widest = config_space(workload, "llvm")
    for target, lanes, registers in PROCESSORS:
        space = config_space(workload, target)
        assert (space.hash, space.size) == (widest.hash, widest.size)
        assert _tile(workload, space.decode(space.default), lanes)[0] < registers
        assert space.valid(space.sample(2000, np.random.default_rng(0))).mean() > 0.005


def test_blocks_between_layers_leave_a_row_of_six_points_its_registers():
    anchor = Conv2d(n=1, ci=64, h=56, w=56, co=64, kh=3, kw=3, padding=(1, 1))
    blocks = {name: _layers(anchor).blocks(anchor, 1, Target.named(name)) for name, *_ in PROCESSORS}
    assert set(blocks.values()) == {(16, 16), (32, 32)}
    assert blocks["llvm/haswell"] == (16, 16)  # 6 * 2 sums, 2 for weights, 1 for what multiplies them


@pytest.mark.parametrize("target", [name for name, *_ in PROCESSORS])
@given(workloads(), st.booleans())
def test_any_layer_of_a_model_has_a_valid_default_on_any_processor(target, workload, winograd):
    target = Target.named(target)
    for block in (1, *BLOCKS):
        block_in, block_out = _layers(workload).blocks(workload, block, target)
        layer = Fused(anchor=workload, epilogue=("bias",), block_in=block_in, block_out=block_out)
        if winograd and block_in > 1 and isinstance(workload, Conv2d):
            layer = replace(layer, algorithm="winograd")
            if not _has_space(layer, target):
                continue
        space = config_space(layer, target)
        assert space.valid([space.default])[0]
        knobs = space.decode(space.default)
        if (split := knobs.get("tile_ci")) and block_in > 1:
            assert prod(split) >= workload.ci > prod(split) - block_in


def _layers(workload):
    entry = entry_for("llvm", type(workload))
    assert entry
    assert entry.layers
    assert entry.layers.blocks
    return entry.layers


def _block(knobs):
    return knobs.get("tile_co") or knobs.get("tile_c") or knobs["tile_m"]


def _tile(workload, knobs, lanes):
    """Registers of so many lanes that a tile's sums and its weights take, and multiply-adds in the unrolled body."""
    _, vectors, wide = _block(knobs)
    weights = vectors * -(-wide // lanes)
    sums = weights * (knobs.get("tile_n") or knobs["tile_oh"] * knobs["tile_ow"])
    return sums, weights, sums * _terms_unrolled(workload, knobs)


def _has_space(layer, target):
    with suppress(InputError):  # of another kernel than winograd's, or too small an output
        config_space(layer, target)
        return True
    return False


def _terms_unrolled(workload, knobs):
    if isinstance(workload, Dense):
        return knobs["tile_k"][1]
    inside = [workload.kw, workload.kh]
    if knobs["reduction"] == "rx_ry":
        inside.reverse()
    return prod(inside[: knobs["unroll_kernel"]]) * knobs.get("tile_ci", (1,))[-1]


@pytest.mark.parametrize(("channels", "stored"), [(64, 64), (1000, 1008), (3, 8), (24, 24), (67, 72), (127, 128)])
def test_outputs_are_stored_in_whole_vectors(channels, stored):
    assert whole_vectors(channels) == stored


@given(st.integers(1, 5000))
def test_whole_vectors_add_less_than_half_a_register_or_5_percent(channels):
    added = whole_vectors(channels) - channels
    assert 0 <= added < max(LANES // 2, 0.05 * channels + 1)


@pytest.mark.parametrize(("extent", "tiles"), [(13, [1, 2, 3, 4, 5, 7, 13]), (7, [1, 2, 3, 4, 7]), (1, [1])])
def test_tiles_are_the_smallest_for_their_number(extent, tiles):
    workload = Conv2d(n=1, ci=8, h=1, w=extent, co=8, kh=1, kw=1)
    knob = next(k for k in config_space(workload, "llvm").knobs if k.name == "tile_ow")
    assert list(knob.labels) == tiles
