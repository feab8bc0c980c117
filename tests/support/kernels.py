"""Kernels built in this process."""

from raydgp.build.compile import compile_kernel
from raydgp.space import ConfigSpace
from raydgp.targets import Target


def build(space: ConfigSpace, index: int, target: Target) -> bytes:
    """The shared library of a valid configuration."""
    return compile_kernel(space.template, space.workload, space.decode(index), target).library
