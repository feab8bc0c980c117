"""Schedule templates: a space beside the schedule that gives it meaning. Importing it loads no TVM."""

from raydgp.templates.base import LaidOut, PlainArrays
from raydgp.templates.layouts import Layout
from raydgp.templates.registry import Layers, register
from raydgp.templates.spaces import config_space, config_spaces

__all__ = ["LaidOut", "Layers", "Layout", "PlainArrays", "config_space", "config_spaces", "register"]
