"""What code is made for: targets, and the kinds of them. Importing it loads no TVM."""

from raydgp.targets.kinds import Kind, kind_named, kinds, register
from raydgp.targets.target import Limits, Target

__all__ = ["Kind", "Limits", "Target", "kind_named", "kinds", "register"]
