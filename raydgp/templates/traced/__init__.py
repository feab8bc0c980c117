"""Spaces read off schedule traces, for kernels that no template serves; importing it registers them, without TVM."""

from raydgp.templates.traced import space

__all__ = ["space"]
