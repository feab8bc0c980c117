"""Processors, by TVM's LLVM code generator."""

from raydgp.targets.llvm.kind import LLVM

__all__ = ["LLVM"]
