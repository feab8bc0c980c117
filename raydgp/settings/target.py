"""A target of this machine or of a cluster as a setting."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from raydgp.targets import kind_named


def _known(name: str) -> str:
    kind_named(kind_of(name))
    return name


def kind_of(name: str) -> str:
    """The kind in the name of a target."""
    return name.partition("/")[0]


TARGET = (
    "`llvm` is this machine's CPU, `cuda` its GPU; `llvm/haswell` is this CPU, too, by code that keeps to what another "
    "one has."
)
TargetName = Annotated[str, AfterValidator(_known)]  # a kind, as registered, or kind/architecture
