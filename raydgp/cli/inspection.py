"""How an inspection is shown; loaded once there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from raydgp import cli

if TYPE_CHECKING:
    from raydgp.app.inspect import Inspection, Kernel, Tensor  # loads torch and TVM

_OTHERS = 50  # characters of a row beside the kernel's name
_SHORTEST = 20  # of a name


def show(found: Inspection) -> None:
    """Prints an inspection."""
    say = cli.console.say
    for title, tensors in (("inputs", found.inputs), ("outputs", found.outputs)):
        say(f"{title}: {_tensors(tensors)}")
    if found.folded:
        say(f"folded: {', '.join(f'{count} {kind}' for kind, count in found.folded.items())}")
    for note in found.notes:
        say(note)
    cli.console.out.print(_table(found.kernels))
    if found.error is None:
        return
    say(
        f"Right: with default configurations the largest error of an output is {found.error:.1e}, "
        f"of {found.tolerance:g} allowed."
    )


def _tensors(tensors: Sequence[Tensor]) -> str:
    return ", ".join(
        f"{tensor.name} {tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}" for tensor in tensors
    )


def _table(kernels: Sequence[Kernel]) -> Table:
    """A row a kernel: its calls, share of the arithmetic, configurations; long names are cut to fit 80 columns."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    room = max(_SHORTEST, cli.console.out.width - _OTHERS)
    table.add_column("kernel", no_wrap=True, overflow="ellipsis", max_width=room)
    for title in ("calls", "arithmetic", "space"):
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    table.add_column("tuned by", no_wrap=True, min_width=max(len(kernel.by) for kernel in kernels) if kernels else 0)
    for kernel in kernels:
        share = "-" if kernel.share is None else f"{kernel.share:.1%}"
        table.add_row(kernel.name, str(kernel.calls), share, str(kernel.size or "-"), kernel.by)
    return table
