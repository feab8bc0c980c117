"""What is described by the parameters that it is tuned by, and by nothing else: a user's function, another's kernel."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from raydgp.workloads.base import Workload

UNKNOWN_OPERATIONS = 10**9  # GFLOPS then are calls a second


@dataclass(frozen=True, kw_only=True)
class Parametric(Workload):
    """Something with parameters, of which nothing is known but their options and which of them go together.

    Its space is made of it (`raydgp.space.parameters.parameter_space`), so that its records say what they are about.

    Attributes:
        name: for people, and of the experience that searches share.
        parameters: JSON of name -> options: a list of them, or of a range `{"low", "high", "steps", "scale"}`.
        restrictions: of the configurations, expressions or the names of array functions
            (`raydgp.space.restrictions`); a configuration is valid where all of them hold.
        operations: floating-point operations of one call; 10^9 where they are not known.
    """

    op: ClassVar[str] = "parametric"
    largest: ClassVar[int] = 2**63 - 1
    name: str
    parameters: str
    restrictions: tuple[str, ...] = ()
    operations: int = UNKNOWN_OPERATIONS

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "restrictions", tuple(self.restrictions))  # JSON has made a list of it

    @property
    def flops(self) -> int:
        return self.operations

    @property
    def group(self) -> str:
        """One kernel's experience is no other's."""
        return f"parametric_{re.sub(r'[^A-Za-z0-9_.-]', '_', self.name)}"

    @property
    def label(self) -> str:
        return self.name

    @property
    def options(self) -> dict[str, Any]:
        """Name -> options, as `parameters` has them."""
        found: dict[str, Any] = json.loads(self.parameters)
        return found

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.options)})"
