"""Launches as data: what they say of kernels of one launch and of several. That they compute is shown on fibres."""

import pytest

from raydgp import Conv2d, config_space
from raydgp.build.compile import compile_kernel
from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.build.cuda.launches import launches_of, signatures
from raydgp.build.cuda.library import cuda_source
from raydgp.build.launch import Launch
from raydgp.errors import BuildError, InputError
from raydgp.records import Status
from raydgp.run.builder import Builder
from raydgp.targets import Target, kind_named
from raydgp.templates.registry import template_for
from raydgp.workloads import Fused

CONV = Conv2d(n=1, ci=16, h=8, w=8, co=32, kh=3, kw=3, padding=(1, 1))
CUDA = Target.named("cuda/sm_80")


def made(workload, algorithm="direct", **changed):
    """Module, source and knobs of a space's default, with other knobs."""
    space = config_space(workload, CUDA, algorithm)
    knobs = space.decode(space.default) | changed
    module = template_for(space).schedule(workload, knobs, CUDA)
    return module, cuda_source(module, CUDA), knobs


def test_a_kernel_of_one_launch_takes_its_arguments_in_tvms_order():
    module, source, _ = made(CONV, tile_f=(4, 1, 8, 1), tile_y=(2, 1, 2, 2), tile_x=(1, 1, 8, 1))
    (launch,), workspaces = launches_of(module, source)
    assert launch == Launch(kernel="main_kernel", grid=(1, 2, 4), block=(8, 2, 8), arguments=(0, 2, 1))
    assert workspaces == ()


def test_of_an_epilogue_every_array_has_its_number():
    module, source, _ = made(Fused(anchor=CONV, epilogue=("bias", "add", "relu")))
    (launch,), _ = launches_of(module, source)
    names = dict(signatures(source))["main_kernel"]
    order = ["data", "weight", "bias0", "add1", "out"]
    assert launch.arguments == tuple(order.index(name) for name in names)


def test_winograds_three_launches_share_two_workspaces():
    module, source, _ = made(CONV, "winograd")
    launches, workspaces = launches_of(module, source)
    alpha, tiles = 6, 4
    assert workspaces == (4 * alpha**2 * 16 * tiles, 4 * alpha**2 * 32 * tiles)  # transformed data, products
    assert [launch.kernel for launch in launches] == ["main_kernel", "main_kernel_1", "main_kernel_2"]
    assert [set(launch.arguments) for launch in launches] == [{0, 3}, {1, 3, 4}, {2, 4}]
    assert {launch.block for launch in launches[::2]} == {(128, 1, 1)}


def test_a_product_on_tensor_cores_has_its_warps_along_y_and_z():
    module, source, knobs = made(CONV, "tensor_core")
    (launch,), _ = launches_of(module, source)
    (rows, warps_m, _), (columns, warps_n, _) = knobs["tile_m"], knobs["tile_n"]
    assert (launch.grid, launch.block) == ((rows * columns, 1, 1), (32, warps_n, warps_m))


def test_kernels_are_in_the_order_of_their_numbers():
    names = [f"main_kernel_{number}" if number else "main_kernel" for number in range(12)]
    source = "".join(f'extern "C" __global__ void {name}(float* a_ptr) {{ }}\n' for name in sorted(names))
    assert [name for name, _ in signatures(source)] == names


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("__shared__", "extern __shared__", "dynamic shared memory"),
        ("weight_ptr", "other_ptr", "takes other, which is no buffer"),
        ('extern "C" __global__', "static", "0 kernels of 1 nests"),
    ],
)
def test_what_could_not_be_launched_is_refused(right, wrong, message):
    module, source, _ = made(CONV)
    with pytest.raises(BuildError, match=message):
        launches_of(module, source.replace(right, wrong))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("algorithm", ["direct", "winograd", "tensor_core"])
def test_the_parts_of_a_library_are_its_cubin_and_its_launches(algorithm, arch):
    try:
        cuda_compiler.compiler_for(arch)
    except InputError as error:
        pytest.skip(str(error))
    target = Target.named(f"cuda/{arch}")
    space = config_space(CONV, target, algorithm)
    parts = compile_kernel(space.template, CONV, space.decode(space.default), target, "parts")
    assert parts.library.startswith(b"\x7fELF")
    assert all(b".text." + launch.kernel.encode() in parts.library for launch in parts.launches)
    assert {used.kernel for used in parts.resources} == {launch.kernel for launch in parts.launches}


def test_a_builder_hands_parts_on():
    try:
        cuda_compiler.compiler_for("sm_80")
    except InputError as error:
        pytest.skip(str(error))
    space = config_space(CONV, CUDA, "winograd")
    with Builder() as builder:
        built = builder.build(space, space.default, CUDA, 60, part="parts")
    assert built.status is Status.OK, built.error
    parts = compile_kernel(space.template, CONV, space.decode(space.default), CUDA, "parts")
    assert (built.library, built.launches, built.workspaces) == (parts.library, parts.launches, parts.workspaces)


def test_a_processors_parts_are_its_library():
    assert kind_named("llvm").parts == kind_named("llvm").build != ""
