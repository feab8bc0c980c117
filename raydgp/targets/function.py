"""The kind `function`: whatever a user's function measures, or others have measured. Nothing is compiled for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydgp.targets.kinds import FUNCTION, Kind
from raydgp.targets.target import Target, frozen


class Function(Kind):
    """No compiler: what is measured is a function of parameters. Runners hold the resources that the user names."""

    name = FUNCTION
    description = "a function's runner"
    on_processors = False

    def here(self) -> Target:
        return Target(kind=self.name)

    def from_attributes(self, attributes: Mapping[str, Any]) -> Target:
        return Target(kind=self.name, attributes=frozen(attributes))


FUNCTION_KIND = Function()
