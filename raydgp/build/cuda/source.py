"""What TVM generates, made quick to compile: the same machine code from less work of NVIDIA's compiler.

Its front end takes almost no time; its optimiser does, more than in proportion to what an unrolled kernel writes down.
Two things make most of that, and both can be had beforehand, by text alone:

* an array of a thread's own costs with the square of its uses until it is taken apart into registers, so here it comes
  as variables, one an element, where no loop is left that indexes it;
* a read of shared memory is compared with all others nearby to find the equal ones, so here it comes once.
"""

from __future__ import annotations

import re
from itertools import count

# TVM's own prologue includes headers that no fp32 kernel needs and that take four fifths of the time. What float16 and
# tensor cores need of it is its part from the first of their headers on.
_HALVES = "#if !defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 530)\n#include <cuda_fp16.h>\n"
_HEADERS = ("cuda_fp16.h", "mma.h", "crt/mma.h")
_PROLOGUE_END = "#define ushort unsigned short\n#endif\n"
_PROLOGUE = "#define uint unsigned int\n#define uchar unsigned char\n#define ushort unsigned short\n"
# NVRTC has no <cstdint> of its own; nvcc has one
_SIZED = """#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <cstdint>
#endif
"""
_SIZED_TYPE = re.compile(r"\bu?int(8|16|32|64)_t\b")  # of indices, which models take and give

_OWN = re.compile(r"^ *alignas\(\d+\) float (\w+)\[(\d+)\];\n", re.MULTILINE)
_SHARED = re.compile(r"^ *__shared__ alignas\(\d+\) \w+ (\w+)\[", re.MULTILINE)
_KERNEL = re.compile(r'^extern "C" __global__', re.MULTILINE)


def quick(source: str) -> tuple[str, tuple[str, ...]]:
    """The source to compile, and the headers that it includes."""
    prologue, end, kernels = source.partition(_PROLOGUE_END)
    if not end:
        return source, ()
    starts = [match.start() for match in _KERNEL.finditer(kernels)]
    parts = [kernels[begin:until] for begin, until in zip([0, *starts], [*starts, len(kernels)], strict=True)]
    kernels = "".join(_own_variables(_read_once(part)) for part in parts)
    if "nvcuda::wmma" in kernels:
        return _HALVES + prologue.partition(_HALVES)[2] + end + kernels, _HEADERS
    # before the kernels come the helpers that they call, if any (asynchronous copies, say)
    return _PROLOGUE + (_SIZED if _SIZED_TYPE.search(kernels) else "") + kernels, ()


def _own_variables(kernel: str) -> str:
    """Arrays of a thread whose every index is a number, as variables."""
    for declared in _OWN.finditer(kernel):
        name, size = declared[1], int(declared[2])
        uses = len(re.findall(rf"\b{name}\b", kernel))
        by_number = re.compile(rf"\b{name}\[(\d+)\]")
        if len(by_number.findall(kernel)) == uses:
            variables = ", ".join(f"{name}_{i}" for i in range(size))
            kernel = kernel.replace(declared[0], f"  float {variables};\n")
            kernel = by_number.sub(rf"{name}_\1", kernel)
    return kernel


def _read_once(kernel: str) -> str:
    """Reads of shared memory that repeat with nothing but arithmetic between them, as one.

    A statement is a line. What is known is forgotten where a line is no plain assignment (a barrier, a brace, a loop, a
    choice, an address) and where shared memory is written. Where an index itself is read from an array it stays there.
    """
    shared = _SHARED.findall(kernel)
    if not shared:
        return kernel
    read = re.compile(rf"\b(?:{'|'.join(shared)})\[[^\[\]]*\]")
    lines: list[str] = []
    known: dict[str, str] = {}
    names = (f"read_{number}" for number in count())

    def once(found: re.Match[str]) -> str:
        if found[0] not in known:
            known[found[0]] = next(names)
            lines.append(f"const auto {known[found[0]]} = {found[0]};")
        return known[found[0]]

    for line in kernel.split("\n"):
        target, assigned, value = line.partition(" = ")
        plain = assigned and line.endswith(";") and "?" not in value and "(&(" not in value
        if plain and not any(name in target for name in shared):
            line = target + assigned + read.sub(once, value)
        else:
            known.clear()
        lines.append(line)
    return "\n".join(lines)
