"""NVIDIA GPUs, by TVM's CUDA code generator."""

from raydgp.targets.cuda.kind import CUDA

__all__ = ["CUDA"]
