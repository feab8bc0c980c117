"""What our passes make of kernels for CPUs, read off their machine code."""

import pytest

from raydgp.build.compile import compile_executable
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense

ONE_BY_ONE = Conv2d(n=1, ci=32, h=7, w=7, co=64, kh=1, kw=1)
POOL = "TVMBackendAllocWorkspace"


def assembler(workload, **knobs):
    """Of the default with other knobs, for vectors of 8 lanes."""
    target = Target.here("llvm/haswell")
    space = config_space(workload, target)
    module = template_for(space).schedule(workload, {**space.decode(space.default), **knobs}, target)
    return compile_executable(module, target).mod.inspect_source("asm")


@pytest.mark.parametrize("workload", [ONE_BY_ONE, Dense(n=4, k=64, m=64)])
def test_a_tile_is_summed_without_the_pool(workload):
    assert POOL not in assembler(workload)


def test_a_long_row_of_tiles_comes_from_the_pool():
    wide = Conv2d(n=1, ci=32, h=2, w=2048, co=64, kh=1, kw=1)
    assert POOL in assembler(wide, tile_ci=(2, 1, 16, 1), tile_ow=4)


@pytest.mark.parametrize(("unrolled", "vectors"), [(1, 1), (1, 2), (4, 2)])
def test_every_line_of_weights_is_asked_for_once(unrolled, vectors):
    tile = {"tile_co": (4 // vectors, vectors, 16), "tile_ci": (1, 2, 16 // unrolled, unrolled), "tile_ow": 7}
    code = assembler(ONE_BY_ONE, **tile)
    assert code.count("\tvfmadd") == 7 * 2 * code.count("\tprefetcht0\t") > 0


def test_weights_that_many_tiles_share_are_not_asked_for():
    many = Conv2d(n=1, ci=32, h=56, w=56, co=64, kh=1, kw=1)
    assert "prefetch" not in assembler(many, tile_ow=7)
