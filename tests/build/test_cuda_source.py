"""The generated source made quick to compile: what may be rewritten, what may not, and the same machine code."""

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.build.cuda.compiler import compile_source, compiler_for
from raydgp.build.cuda.library import cuda_source
from raydgp.build.cuda.source import quick
from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.registry import template_for

CUDA = Target.named("cuda/sm_90")
BEFORE = "#include <cuda_runtime.h>\n#define ushort unsigned short\n#endif\n"
HEAD = 'extern "C" __global__ void __launch_bounds__(4) main_kernel(float* __restrict__ out_ptr) {\n'


def kernel(*lines):
    text, _ = quick(BEFORE + HEAD + "".join(f"  {line}\n" for line in lines) + "}\n")
    return [line.strip() for line in text.partition(HEAD)[2].splitlines()[:-1]]


def test_the_prologue_that_no_kernel_needs_is_left_out():
    text, headers = quick(BEFORE + HEAD + "}\n")
    assert "#include" not in text
    assert headers == ()


def test_types_of_a_known_size_are_defined_where_a_kernel_has_them():
    text, _ = quick(BEFORE + HEAD.replace("float*", "int64_t*") + "}\n")
    assert "typedef long long int64_t;" in text
    assert "int64_t" not in quick(BEFORE + HEAD + "}\n")[0]


def test_what_is_not_tvms_stays_as_it_is():
    assert quick("__global__ void f() {}") == ("__global__ void f() {}", ())


def test_an_array_indexed_by_numbers_becomes_variables():
    assert kernel("alignas(64) float a_ptr[2];", "a_ptr[0] = 1;", "a_ptr[1] = a_ptr[0];") == [
        "float a_ptr_0, a_ptr_1;",
        "a_ptr_0 = 1;",
        "a_ptr_1 = a_ptr_0;",
    ]


@pytest.mark.parametrize("use", ["a_ptr[i] = 1;", "f(a_ptr);", "f(&a_ptr[0] + i, a_ptr);"])
def test_an_array_used_otherwise_stays_one(use):
    lines = ["alignas(64) float a_ptr[2];", "a_ptr[0] = 1;", use]
    assert kernel(*lines) == lines


def test_one_kernels_arrays_say_nothing_of_anothers():
    first = HEAD + "  alignas(64) float a_ptr[1];\n  a_ptr[i] = 1;\n}\n"
    second = HEAD.replace("main_kernel", "main_kernel_1") + "  alignas(64) float a_ptr[1];\n  a_ptr[0] = 1;\n}\n"
    text, _ = quick(BEFORE + first + second)
    assert first in text
    assert "float a_ptr_0;" in text


SHARED = "__shared__ alignas(64) float s_ptr[8];"


def reads(*lines):
    """How often the lines read shared memory."""
    return sum(line.partition(" = ")[2].count("s_ptr[") for line in kernel(SHARED, *lines))


def test_a_read_that_repeats_is_one():
    twice = "x[0] = (x[0] + (s_ptr[((i * 2) + 1)] * s_ptr[3]));"
    assert kernel(SHARED, twice, twice) == [
        SHARED,
        "const auto read_0 = s_ptr[((i * 2) + 1)];",
        "const auto read_1 = s_ptr[3];",
        "x[0] = (x[0] + (read_0 * read_1));",
        "x[0] = (x[0] + (read_0 * read_1));",
    ]


@pytest.mark.parametrize("between", ["__syncthreads();", "s_ptr[1] = 2;", "for (;;) {", "}", "f(x);"])
def test_what_may_change_memory_or_leave_a_block_parts_reads(between):
    assert reads("x[0] = s_ptr[3];", "x[1] = s_ptr[3];") == 1
    assert reads("x[0] = s_ptr[3];", between, "x[1] = s_ptr[3];") == 2


@pytest.mark.parametrize("line", ["x[0] = ((i < 8) ? s_ptr[i] : 0);", "x[0] = s_ptr[x[0]];"])
def test_a_read_that_depends_on_a_condition_or_an_array_stays_there(line):
    assert kernel(SHARED, line, line) == [SHARED, line, line]


def test_the_machine_code_needs_the_same_of_the_device(monkeypatch):
    try:
        compiler_for("sm_90")
    except InputError as error:
        pytest.skip(str(error))
    workload = Conv2d(n=1, ci=64, h=28, w=28, co=64, kh=3, kw=3, padding=(1, 1))
    space = config_space(workload, "cuda")
    pool = space.sample_valid(500, np.random.default_rng(0))
    index = next(
        i
        for i in pool.tolist()
        if (knobs := space.decode(i))["auto_unroll_max_step"] == 1500
        and knobs["unroll_explicit"]
        and np.prod([knobs[name][2] for name in ("tile_f", "tile_y", "tile_x")]) >= 64
    )
    source = cuda_source(template_for(space).schedule(workload, space.decode(index), CUDA), CUDA)
    ours = compile_source(source, "sm_90").resources
    monkeypatch.setattr("raydgp.build.cuda.compiler.quick", lambda source: (source, ()))
    plain = source[source.index('extern "C"') :]
    assert all(rewritten in quick(source)[0] for rewritten in ("conv_local_ptr_0", "read_0"))
    assert compile_source(plain, "sm_90").resources == ours
