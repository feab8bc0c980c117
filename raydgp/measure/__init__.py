"""Measurers: who turns configurations into measurements. The one on a Ray cluster is in `raydgp.cluster`."""

from raydgp.measure.base import Measurer

__all__ = ["Measurer"]
