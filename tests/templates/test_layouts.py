"""Layouts that templates say as data, against the same in plain numpy, written down from the templates' docstrings."""

import json
from math import prod

import numpy as np
import pytest

from raydgp import Dense, config_space
from raydgp.templates import LaidOut, Layout
from raydgp.templates.cuda.tensor_core_space import as_conv2d
from raydgp.templates.cuda.winograd_space import winograd_tile
from raydgp.templates.epilogue import anchor_of
from raydgp.templates.llvm.winograd import transforms
from raydgp.templates.reference import random_inputs
from raydgp.templates.registry import template_for
from raydgp.templates.transforms import matrices
from raydgp.workloads import Fused
from tests.support.cuda_cases import SHAPES as CUDA_SHAPES
from tests.support.cuda_cases import TENSOR_CORES
from tests.support.llvm_cases import SHAPES as LLVM_SHAPES
from tests.support.llvm_cases import WINOGRAD

LLVM = {name: (w, "direct") for name, w in LLVM_SHAPES.items()} | {
    name: (w, "winograd") for name, w in WINOGRAD.items()
}
CASES = {f"llvm: {name}": ("llvm", *case) for name, case in LLVM.items()} | {
    f"cuda: {name}": ("cuda", *case) for name, case in (CUDA_SHAPES | TENSOR_CORES).items()
}
every_case = pytest.mark.parametrize(("kind", "workload", "algorithm"), CASES.values(), ids=CASES)


def blocked(x, block):
    """[n, c, ...] -> [n, c in blocks, ..., block], element by element."""
    out = np.zeros((x.shape[0], -(-x.shape[1] // block), *x.shape[2:], block), x.dtype)
    for c in range(x.shape[1]):
        out[:, c // block, ..., c % block] = x[:, c]
    return out


def grown(x, shape):
    """The array in the corner of one of zeros."""
    out = np.zeros(shape, x.dtype)
    out[tuple(map(slice, x.shape))] = x
    return out


def direct(data, weight, block_ci, block_co, outer):
    co, ci, kh, kw = weight.shape
    out = np.zeros((outer, ci // block_ci, kh, kw, block_ci, block_co), np.float32)
    for f in range(co):
        for c in range(ci):
            out[f // block_co, c // block_ci, :, :, c % block_ci, f % block_co] = weight[f, c]
    return data, out


def transformed(weight, g):
    return np.einsum("ea,fcab,ub->eucf", g, weight, g, optimize=True).astype(np.float32)


def by_hand(space, knobs, inputs):
    """What `pack` must give."""
    data, weight, *extra = inputs
    workload = space.workload
    kind = space.template.split(".")[1]
    if kind in ("conv2d_nchwc", "group_conv2d_nchwc"):
        block_ci, block = prod(knobs["tile_ci"][2:]), prod(knobs["tile_co"][1:])
        outer = knobs["tile_co"][0] * getattr(anchor_of(workload), "groups", 1)
        plain = isinstance(workload, Fused) and workload.block_in == 1
        packed = direct(data if plain else blocked(data, block_ci), weight, block_ci, block, outer)
    elif "winograd" in kind and space.target == "llvm":
        block_ci, block = prod(knobs["tile_ci"][1:]), prod(knobs["tile_co"][2:])
        outer, (_, ci, r, _) = prod(knobs["tile_co"][:2]), weight.shape
        u = transformed(grown(weight, (outer * block, ci, r, r)), transforms(knobs["tile"], r)[2])
        blocks = u.reshape(*u.shape[:2], ci // block_ci, block_ci, outer, block)
        packed = blocked(data, block_ci), blocks.transpose(0, 1, 4, 2, 3, 5)
    elif kind.startswith("depthwise") and space.target == "llvm":
        block = prod(knobs["tile_c"][1:])
        packed = blocked(data, block), blocked(weight.swapaxes(0, 1), block)[0]
    elif kind == "dense_packed":
        block = prod(knobs["tile_m"][1:])
        packed = data, blocked(grown(weight, (knobs["tile_m"][0] * block, weight.shape[1])).T, block).swapaxes(0, 1)
    elif "tensor_core" in kind:
        conv = as_conv2d(workload)
        c, columns, depth = -(-conv.ci // 8) * 8, 16 * prod(knobs["tile_n"]), 16 * prod(knobs["tile_k"])
        pixels = data.reshape(conv.n, conv.ci, conv.h, conv.w).transpose(0, 2, 3, 1)
        rows = weight.reshape(conv.co, conv.ci, conv.kh, conv.kw).transpose(0, 2, 3, 1)
        rows = grown(rows, (*rows.shape[:3], c)).reshape(conv.co, -1)
        return [
            grown(pixels, (*pixels.shape[:3], c)).astype("float16"),
            grown(rows, (columns, depth)).astype("float16"),
        ]
    elif "winograd" in kind:
        return [data, transformed(weight, matrices(winograd_tile(anchor_of(workload)), weight.shape[2])[2]), *extra]
    else:
        return list(inputs)
    _, outer, *_ = template_for(space).out_shape(workload, knobs)
    return [*packed, *(epilogue_array(x, outer, block) for x in extra)]


def epilogue_array(x, outer, block):
    """A bias [c] -> [outer, block]; what is added [n, c, ...] -> [n, outer, ..., block]."""
    if x.ndim == 1:
        return grown(blocked(x[None], block)[0], (outer, block))
    return grown(blocked(x, block), (x.shape[0], outer, *x.shape[2:], block))


@every_case
def test_layouts_are_those_that_the_template_describes(kind, workload, algorithm):
    space = config_space(workload, kind, algorithm)
    template, inputs = template_for(space), random_inputs(workload, 0)
    for index in [space.default, *space.sample_valid(4, np.random.default_rng(3)).tolist()]:
        knobs = space.decode(index)
        packed = template.pack(workload, knobs, inputs)
        for actual, expected in zip(packed, by_hand(space, knobs, inputs), strict=True):
            assert actual.dtype == expected.dtype
            assert actual.flags.c_contiguous
            np.testing.assert_array_equal(actual, expected, err_msg=str(knobs))


@every_case
def test_the_output_is_found_again_where_the_kernel_writes_it(kind, workload, algorithm):
    """An output is numbered, then laid out as the kernel has it, zeros where there is no element."""
    space = config_space(workload, kind, algorithm)
    template = template_for(space)
    logical = 1 + np.arange(prod(workload.output_shape), dtype=np.float32).reshape(workload.output_shape)
    for index in [space.default, *space.sample_valid(4, np.random.default_rng(4)).tolist()]:
        knobs = space.decode(index)
        shape = template.out_shape(workload, knobs)
        if "tensor_core" in space.template:
            rows = logical if isinstance(workload, Dense) else logical.transpose(0, 2, 3, 1)
            out = grown(rows.reshape(-1, rows.shape[-1]), shape)
        else:
            out = grown(logical if shape == logical.shape else blocked(logical, shape[-1]), shape)
        np.testing.assert_array_equal(template.unpack(workload, knobs, out), logical)


@every_case
def test_layouts_are_json(kind, workload, algorithm):
    space = config_space(workload, kind, algorithm)
    template, knobs, inputs = template_for(space), space.decode(space.default), random_inputs(workload, 1)
    assert isinstance(template, LaidOut)
    for layout, array in zip(template.layouts(workload, knobs), inputs, strict=True):
        read = Layout(tuple(json.loads(json.dumps(layout.steps))))
        np.testing.assert_array_equal(read.apply(array), layout.apply(array))


def test_an_array_that_stays_as_it_is_is_not_copied():
    array = np.ones((2, 3), np.float32)
    assert Layout().apply(array) is array
    assert Layout().pad((0, 0), (0, 0)).transpose(0, 1) == Layout()
