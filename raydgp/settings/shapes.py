"""Shapes of a model's inputs as a user gives them: `1x3x224x224`, or `1x{64,128}` for more sizes than one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Extent = int | tuple[int, ...]
Shape = tuple[Extent, ...]

_EXTENT = re.compile(r"(\d+)|\{(\d+(?:,\d+)*)\}")


def read(name: str, value: Any) -> Any:
    """Sizes out of a text; anything else as it is.

    Raises:
        ValueError: it is none; says how one is written.
    """
    if not isinstance(value, str | int):
        return value
    found = [_EXTENT.fullmatch(part.strip()) for part in re.split(r"x", str(value).replace(" ", ""))]
    if not all(match and not re.search(r"\b0+\b", match[0]) for match in found):
        raise ValueError(
            f"{name}={value} is not a shape: write it as {name}=1x3x224x224, one size for each dimension, or as "
            f"{name}=1x{{64,128,256}} for a model of several sizes; ranges and other forms are not known"
        )
    return tuple(int(match[1]) if match[1] else tuple(map(int, match[2].split(","))) for match in found if match)


def check(inputs: Mapping[str, Shape]) -> None:
    """Whether all dimensions with several sizes have as many: they vary together.

    Raises:
        ValueError: they do not.
    """
    counts = {len(extent): name for name, shape in inputs.items() for extent in shape if isinstance(extent, tuple)}
    if len(counts) > 1 or 0 in counts:
        said = ", ".join(f"{count} of {name}" for count, name in counts.items())
        raise ValueError(f"all dimensions in braces take as many sizes, for they vary together; here {said}")


def sizes(inputs: Mapping[str, Shape]) -> list[dict[str, tuple[int, ...]]]:
    """The shapes of the inputs, once for each size."""
    count = max((len(e) for shape in inputs.values() for e in shape if isinstance(e, tuple)), default=1)
    return [
        {name: tuple(e[k] if isinstance(e, tuple) else e for e in shape) for name, shape in inputs.items()}
        for k in range(count)
    ]
