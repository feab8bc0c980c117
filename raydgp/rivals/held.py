"""How other libraries are kept to the instructions that a target's code may use, where its machine has more.

oneDNN, ATen and MKL can be told by the environment. onnxruntime's kernels and OpenVINO's cannot; what torch compiles
uses what the processor has whatever ATen is told, and then computes nonsense, so it is told nothing.
"""

from __future__ import annotations

from raydgp.rivals.names import COMPILED, TORCH_WAYS
from raydgp.settings.target import kind_of
from raydgp.targets import Target, kind_named

_LEVELS = {  # by instruction set: of oneDNN, of ATen, of MKL
    "avx512": ("AVX512_CORE", "avx512", "AVX512"),
    "avx2": ("AVX2", "avx2", "AVX2"),
    "avx": ("AVX", "default", "AVX"),
    "sse": ("SSE41", "default", "SSE4_2"),
}
_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")


def environment(target: str, way: str = TORCH_WAYS[0]) -> dict[str, str]:
    """Variables for a process that must see them before it loads a library; none where nothing is held back.

    Args:
        target: name of one of this machine, `kind/architecture` where it is held to that one.
        way: that the process is to run.
    """
    if way not in TORCH_WAYS or way == COMPILED:
        return {}
    if "/" not in target or not kind_named(kind_of(target)).on_processors:
        return {}
    level = Target.here(target).instruction_set
    if level == Target.here(kind_of(target)).instruction_set or level not in _LEVELS:
        return {}
    return dict(zip(_VARIABLES, _LEVELS[level], strict=True))


def note(target: str) -> str:
    """What a user is told of a comparison; empty where nothing is held back."""
    if not (held := environment(target)):
        return ""
    said = ", ".join(f"{name}={value}" for name, value in held.items())
    return f"Held to {target}: torch ({said}); onnxruntime, openvino and what torch compiles use all that is here."
