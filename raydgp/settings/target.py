"""The kind of target as a setting."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from raydgp.targets import kind_named


def _known(name: str) -> str:
    kind_named(name)
    return name


KindName = Annotated[str, AfterValidator(_known)]  # a registered kind of target; others may be added
