"""The ways to run a model that can be timed, by name. Each has a module that imports its own library alone.

A process runs one way: the threads of one library would disturb the time of another. So this module loads none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from raydgp.registry import resolve
from raydgp.rivals.names import METASCHEDULE, TORCH_WAYS

Array = NDArray[Any]
Run = Callable[[], Any]
Way = tuple[Run, Callable[[Any], list[Array]], tuple[Array, ...]]  # a call, its output as arrays, what is expected

GPUS = {"cuda": "cuda"}  # how torch and onnxruntime call the GPU of a kind of target; without one, they use the CPU

_MAKERS = {
    "raydgp": "raydgp.rivals.deployed:deployed",
    "untuned": "raydgp.rivals.untuned:untuned",
    METASCHEDULE: "raydgp.rivals.untuned:metaschedule",
    "onnxruntime": "raydgp.rivals.onnxruntime:onnxruntime_way",
    "openvino": "raydgp.rivals.openvino:openvino_way",
    **dict.fromkeys(TORCH_WAYS, "raydgp.rivals.torch:torch_way"),
}


def make(way: str, source: str, target: str, threads: int) -> Way:
    """A model as one of the ways runs it.

    Args:
        source: a model as `raydgp.models.importing.load` takes it; of a deployed one and of MetaSchedule's, its folder.
        target: name of one of this machine, as `Target.here` takes it.
        threads: of the library's own pool.

    Raises:
        InputError: the library is missing, or cannot use the device.
    """
    maker: Callable[..., Way] = resolve(_MAKERS[way], f"rival {way}")
    return maker(way, source, target, threads)
