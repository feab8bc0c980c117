"""Configuration spaces: ordered knobs, an index for every configuration, static validity. numpy only."""

from raydgp.space.base import Columns, ConfigSpace, Indices
from raydgp.space.knobs import Knob, choice, split
from raydgp.space.parametric import parameters

__all__ = ["Columns", "ConfigSpace", "Indices", "Knob", "choice", "parameters", "split"]
