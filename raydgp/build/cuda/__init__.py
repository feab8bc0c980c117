"""CUDA sources, their compilers, and libraries without a toolkit."""
