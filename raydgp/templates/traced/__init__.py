"""Spaces read off schedule traces, for kernels that no template serves."""
