"""The transcendental functions of kernels as arithmetic, which a compiler can vectorise; a call of libm it cannot."""

from raydgp.build.vector_math.legalise import legalised

__all__ = ["legalised"]
