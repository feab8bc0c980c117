"""What it takes to launch a kernel of a GPU without the host's code that TVM makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One launch. Shared memory is static alone.

    Attributes:
        kernel: name in the cubin.
        grid, block: extents along x, y and z.
        arguments: of each of its pointers the number of the buffer: those of the kernel's arguments in their order,
            the output as the last of them, and from there on those of the workspaces.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[int, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Of JSON, which makes lists of tuples."""
        listed: dict[str, Any] = {name: tuple(data[name]) for name in ("grid", "block", "arguments")}
        return cls(kernel=data["kernel"], **listed)
