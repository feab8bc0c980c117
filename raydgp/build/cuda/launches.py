"""The launches of a scheduled module: what TVM's host code would do with its kernels, as data.

A kernel is a nest of loops of the module, in order; its grid and its block are the loops that are bound. Which buffers
it takes, and in which order, stands in the CUDA C that TVM makes of it.
"""

from __future__ import annotations

import math
import re

import tvm
from tvm import s_tir, tirx

from raydgp.build.compile import CompiledKernel
from raydgp.build.cuda.compiler import compile_source
from raydgp.build.cuda.library import cuda_source
from raydgp.build.launch import Launch
from raydgp.errors import BuildError
from raydgp.targets import Target

_KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(([^)]*)\) \{')
_DYNAMIC = re.compile(r"extern __shared__")


def compile_parts(module: tvm.IRModule, target: Target) -> CompiledKernel:
    """The cubin of a scheduled module, and how its kernels are launched.

    Raises:
        BuildError: they cannot be launched by what `Launch` says.
        CudaCompileError: the source does not compile.
        InputError: no compiler for the architecture is here.
    """
    source = cuda_source(module, target)
    launches, workspaces = launches_of(module, source)
    cubin = compile_source(source, target.architecture)
    return CompiledKernel(cubin.code, cubin.resources, launches, workspaces)


def launches_of(module: tvm.IRModule, source: str) -> tuple[tuple[Launch, ...], tuple[int, ...]]:
    """The launches of a scheduled module of which TVM has made the source, and the bytes of each workspace.

    Raises:
        BuildError: they cannot be launched by what `Launch` says.
    """
    main, nests, kernels = module["main"], extents(module), signatures(source)
    if len(nests) != len(kernels) or _DYNAMIC.search(source):
        raise BuildError(
            f"{len(kernels)} kernels of {len(nests)} nests of loops, or dynamic shared memory: no launches"
        )
    between = [buffer for buffer in main.body.block.alloc_buffers if buffer.scope() == "global"]
    numbers = {_c_name(buffer.name): number for number, buffer in enumerate([*main.params, *between])}
    launches = []
    for (kernel, names), bound in zip(kernels, nests, strict=True):
        strange = [name for name in names if name not in numbers]
        if strange:
            raise BuildError(f"{kernel} takes {strange[0]}, which is no buffer of its module")
        grid, block = (
            (bound.get(f"{which}.x", 1), bound.get(f"{which}.y", 1), bound.get(f"{which}.z", 1))
            for which in ("blockIdx", "threadIdx")
        )
        launches.append(Launch(kernel=kernel, grid=grid, block=block, arguments=tuple(numbers[name] for name in names)))
    return tuple(launches), tuple(_bytes(buffer) for buffer in between)


def extents(module: tvm.IRModule) -> list[dict[str, int]]:
    """Extents of `blockIdx.?` and `threadIdx.?` of each kernel of a scheduled module, in order."""
    sch = s_tir.Schedule(module, debug_mask=0)
    nests: list[tuple[tirx.For, dict[str, int]]] = []
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        loops = [sch.get(loop) for loop in sch.get_loops(block)]
        if not any(loops[0].same_as(outermost) for outermost, _ in nests):
            nests.append((loops[0], {}))
        bound = [loop for loop in loops if loop.thread_binding is not None]
        nests[-1][1].update({str(loop.thread_binding.thread_tag): int(loop.extent) for loop in bound})
    return [bound for _, bound in nests]


def signatures(source: str) -> list[tuple[str, list[str]]]:
    """Name of each kernel and of the buffers that it takes, in the order in which TVM numbers kernels."""
    found = [
        (name, [argument.split()[-1].removesuffix("_ptr") for argument in arguments.split(",")])
        for name, arguments in _KERNEL.findall(source)
    ]
    return sorted(found, key=lambda kernel: _number(kernel[0]))


def _number(kernel: str) -> int:
    """0 of `main_kernel`, 1 of `main_kernel_1`."""
    last = kernel.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def _c_name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _bytes(buffer: tirx.Buffer) -> int:
    dtype = tvm.DataType(str(buffer.dtype))
    return math.prod(int(extent) for extent in buffer.shape) * math.ceil(dtype.bits * dtype.lanes / 8)
