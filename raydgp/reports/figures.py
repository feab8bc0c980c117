"""Figures as files, drawn by matplotlib without a display: SVG for pages, PDF for papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from raydgp.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawing = Callable[["Axes"], None]

# Colours of Okabe and Ito, which differ for the colour-blind too; lines and markers should differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_KINDS = ("svg", "pdf")


def draw(drawings: Mapping[str, Drawing], folder: Path) -> list[Path]:
    """Draws each into NAME.svg and NAME.pdf; what was there of these names is replaced.

    Raises:
        InputError: the folder cannot be written.
    """
    from matplotlib.figure import Figure  # takes a second, and only figures need it

    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, drawing in drawings.items():
            figure = Figure(figsize=(7, 4), layout="constrained")
            drawing(figure.add_subplot())
            for kind in _KINDS:
                written.append(folder / f"{name}.{kind}")
                figure.savefig(written[-1])
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give --figures a folder that can be written") from None
    return written
