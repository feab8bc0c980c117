"""The names of what a deployed model is compared with. Nothing is imported here, so that help texts can name them."""

from __future__ import annotations

METASCHEDULE = "metaschedule"  # among the rivals, and the folder of the run where its tuning is kept
RIVALS = ("torch", "onnxruntime", "openvino", METASCHEDULE, "untuned")  # torch stands for several ways
ON_PROCESSORS = ("openvino", METASCHEDULE)  # alone
GPUS = {"cuda": "cuda"}  # how torch and onnxruntime call the GPU of a target; without one, they use the CPU
COMPILED = "torch compiled"
TORCH_WAYS = ("torch eager", "torch channels_last", "torch frozen", COMPILED)


def torch_ways(kind: str) -> tuple[str, ...]:
    """The ways in which torch runs a model beside one for a kind of target; it freezes models for CPUs alone."""
    return tuple(way for way in TORCH_WAYS if not (way == "torch frozen" and kind in GPUS))
