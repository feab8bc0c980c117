"""How a deployed model's profile is shown; loaded once there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from raydgp import cli

if TYPE_CHECKING:
    from raydgp.app.deploy.profile import Profile  # loads TVM

_OTHERS = 62  # characters of a row beside the kernel's name
_SHORTEST = 16  # of a name


def show(profile: Profile) -> None:
    """Prints a profile: a row a kernel, the longest first; long names are cut to fit 80 columns."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    room = max(_SHORTEST, cli.console.out.width - _OTHERS)
    table.add_column("kernel", no_wrap=True, overflow="ellipsis", max_width=room)
    for title in ("calls", "ms", "share", "GFLOPS", "GB/s", "of bound"):
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    table.add_column("kind", no_wrap=True, min_width=max((len(row.by) for row in profile.kernels), default=0))
    for row in profile.kernels:
        rates = [f"{rate:.1f}" if rate else "-" for rate in (row.gflops, row.gb_s)]
        bound = f"{row.of_bound:.0%}" if row.of_bound else "-"
        table.add_row(row.name, str(row.calls), f"{row.ms:.3f}", f"{row.share:.1%}", *rates, bound, row.by)
    cli.console.out.print(table)
    copied = sum(row.share for row in profile.kernels if row.by == "copy")
    cli.console.say(f"Copies take {copied:.1%} of a call.")
    if profile.peak_gflops and profile.gb_s:
        bounds = f"{profile.peak_gflops:.0f} GFLOPS and {profile.gb_s:.0f} GB/s were measured on this machine"
        cli.console.say(f"The bound is the machine's arithmetic or memory: {bounds}; over 100 % is of its caches.")
