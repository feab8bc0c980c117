"""Processors by LLVM's names, with the vector registers that code for them can use.

The table follows LLVM 22's own features, which a test compares it with; it is here so that a record's target can be
read without TVM. SVE is left out: TVM's code is for vectors of fixed length, which on Arm are NEON's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Vectors:
    """An instruction set's vector registers: the width of one in bits, and how many code can name."""

    instruction_set: str
    bits: int
    registers: int


AVX512, AVX2, AVX = Vectors("avx512", 512, 32), Vectors("avx2", 256, 16), Vectors("avx", 256, 16)
SSE, NEON = Vectors("sse", 128, 16), Vectors("neon", 128, 32)
BASELINE = SSE  # what every 64-bit processor has at the least, whatever it calls it

TRIPLES = {  # of the system that an architecture's code is made for, by what Python calls the machine
    "x86_64": "x86_64-linux-gnu",
    "aarch64": "aarch64-linux-gnu",
    "arm64": "arm64-apple-macos",
}

_FAMILIES: dict[Vectors, str] = {
    AVX512: """
        cannonlake cascadelake cooperlake diamondrapids emeraldrapids graniterapids graniterapids-d icelake-client
        icelake-server knl knm novalake rocketlake sapphirerapids skx skylake-avx512 tigerlake x86-64-v4 znver4 znver5
    """,
    AVX2: """
        alderlake arrowlake arrowlake-s bdver4 broadwell clearwaterforest core-avx2 gracemont grandridge haswell
        lunarlake meteorlake pantherlake raptorlake sierraforest skylake wildcatlake x86-64-v3 znver1 znver2 znver3
    """,
    AVX: "bdver1 bdver2 bdver3 btver2 core-avx-i corei7-avx ivybridge sandybridge",
    SSE: """
        amdfam10 atom barcelona bonnell btver1 core2 corei7 goldmont goldmont-plus k8 k8-sse3 nehalem nocona opteron
        penryn silvermont slm tremont westmere x86-64 x86-64-v2
    """,
    NEON: """
        a64fx ampere1 ampere1a ampere1b carmel cortex-a34 cortex-a35 cortex-a53 cortex-a55 cortex-a57 cortex-a65
        cortex-a72 cortex-a73 cortex-a75 cortex-a76 cortex-a77 cortex-a78 cortex-a510 cortex-a520 cortex-a710
        cortex-a715 cortex-a720 cortex-a725 cortex-x1 cortex-x2 cortex-x3 cortex-x4 cortex-x925 falkor grace kryo
        neoverse-512tvb neoverse-e1 neoverse-n1 neoverse-n2 neoverse-n3 neoverse-v1 neoverse-v2 neoverse-v3 oryon-1
        saphira thunderx thunderx2t99 thunderx3t110 tsv110
        apple-m1 apple-m2 apple-m3 apple-m4 apple-a12 apple-a13 apple-a14 apple-a15 apple-a16 apple-a17
    """,
}


@cache
def _table() -> dict[str, Vectors]:
    return {name: vectors for vectors, listed in _FAMILIES.items() for name in listed.split()}


def names() -> tuple[str, ...]:
    """LLVM's names of the processors in the table."""
    return tuple(_table())


def vectors_of(name: str) -> Vectors | None:
    """The vector registers of a processor; None where the table lacks it."""
    return _table().get(name)


def triple_of(name: str) -> str | None:
    """LLVM's triple of the system that a processor of the table is found in; None where the table lacks it."""
    vectors = vectors_of(name)
    if vectors is None:
        return None
    if vectors is not NEON:
        return TRIPLES["x86_64"]
    return TRIPLES["arm64" if name.startswith("apple-") else "aarch64"]
