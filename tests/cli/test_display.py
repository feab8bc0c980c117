"""Tables of the terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from raydgp.cli.display import print_latencies
from raydgp.rivals.latency import Latency


def test_why_a_runtime_did_not_run_stands_below_the_others():
    fast, slow = Latency.of([1e-3, 1.1e-3, 1.2e-3], 1e-7), Latency.of([2e-3, 2.2e-3, 2.4e-3], 1e-7)
    console = Console(file=StringIO(), width=80)
    print_latencies(console, {"slow": slow, "absent": "it is not installed, and " + 80 * "x", "raydgp": fast})
    _, first, second, last = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert (first.split()[0], second.split()[0], second.split()[-1]) == ("raydgp", "slow", "2.00x")
    assert last.startswith("absent did not run: it is not installed")


def test_small_latencies_have_their_digits_and_faster_defaults_are_told():
    tuned, defaults = Latency.of([0.0312e-3] * 4, 1e-7), Latency.of([0.0273e-3] * 4, 1e-7)
    for ours, rest, told in ((tuned, defaults, True), (defaults, tuned, False)):
        console = Console(file=StringIO(), width=200)
        print_latencies(console, {"raydgp": ours, "defaults": rest})
        said = console.file.getvalue()  # type: ignore[attr-defined]
        assert "0.0312" in said
        assert ("default configurations were faster" in said) is told
