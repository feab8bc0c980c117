"""Tables as files: CSV with all digits for machines; Markdown and LaTeX in the papers' form for readers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from raydgp.errors import InputError
from raydgp.records.manifest import write_atomically

TITLES = {
    "summary": "Strategies",
    "tasks": "GFLOPS and configurations by task",
    "models": "Search time and latency by network",
    "runners": "Asking in parallel",
}
HEADERS = {
    "strategy": "strategy",
    "runners": "runners",
    "task": "task",
    "model": "network",
    "source": "measured by",
    "tasks": "tasks",
    "gflops": "GFLOPS",
    "gflops_ratio": "ratio",
    "sampled": "sampled",
    "seconds": "search s",
    "never_99": "never %",
    "search_s": "search h",
    "search_change": "change %",
    "latency_ms": "latency ms",
    "latency_change": "change %",
    "variance_ms2": "variance ms2",
    "variance_change": "change %",
    "hypervolume": "HV",
    "measurements_95": "to 95 %",
    "measurements_99": "to 99 %",
    "measurements_100": "to 100 %",
    "seconds_99": "s to 99 %",
    "ratio_99": "of baseline",
    "worst_ratio_99": "worst task",
    "wilcoxon_p": "p",
    "score": "score",
    "faster": "faster",
}
_RATIOS = ("ratio_99", "worst_ratio_99", "faster")
CENSORED = "never: in more than half of the searches; alone: what it is compared with never got there, and it did."
NOTE = "Figures that a paper has measured are of other hardware and another version of TVM."


def brief(table: pd.DataFrame) -> pd.DataFrame:
    """As much of a table as 80 characters hold, as `written`: one interval, and no means over all tasks."""
    rest = {"seconds_99", "sampled", "seconds"} if "score" in table.columns else set()
    bounds = [name for name in table.columns if name.endswith(("_low", "_high")) and "measurements_99" not in name]
    return written(table.drop(columns=[*bounds, *rest]))


def written(table: pd.DataFrame) -> pd.DataFrame:
    """A table as readers see it: headers in words, figures as text, `-` where there is none."""
    shown = [name for name in HEADERS if name in table.columns]
    shown.sort(key=list(table.columns).index)
    rows: list[dict[Any, Any]] = table.to_dict("records")
    cells = {name: [_cell(name, row) for row in rows] for name in shown}
    out = pd.DataFrame(cells)
    out.columns = pd.Index([HEADERS[name] for name in shown])
    return out


def write(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Writes each table as NAME.csv, NAME.md and NAME.tex; what was there of these names is replaced.

    Args:
        tables: by name, of `TITLES`.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            note = f"\n{NOTE}\n" if "source" in table.columns and table["source"].nunique() > 1 else ""
            readable = written(table)
            write_atomically(folder / f"{name}.csv", table.to_csv(index=False))
            note += f"\n{CENSORED}\n" if censored(readable) else ""
            write_atomically(folder / f"{name}.md", f"## {TITLES[name]}\n\n{markdown(readable)}{note}")
            caption = f"{TITLES[name]}. {' '.join(note.split())}".removesuffix(". ")
            latex = readable.to_latex(index=False, escape=True, caption=caption, label=f"tab:{name}")
            write_atomically(folder / f"{name}.tex", latex)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give --tables a folder that can be written") from None


def censored(table: pd.DataFrame) -> bool:
    """Whether a table as `written` has figures of searches that did not get there, which `CENSORED` explains."""
    return bool(table.astype(str).apply(lambda column: column.str.contains("never|alone")).to_numpy().any())


def markdown(table: pd.DataFrame) -> str:
    """A table of texts."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |\n" for row in rows)


def _cell(name: str, row: Mapping[Any, Any]) -> str:
    value = row[name]
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "-"
    text = "alone" if value == 0 and name in _RATIOS else _figure(name, float(value))
    low, high = (row.get(f"{name}_{end}") for end in ("low", "high"))
    if not isinstance(low, float) or not isinstance(high, float) or pd.isna(low):
        return text
    ends = _figure(name, low), _figure(name, high)
    return text if ends == (text, text) else f"{text} ({ends[0]}-{ends[1]})"


def _figure(name: str, value: float) -> str:
    if value == float("inf"):
        return "never"
    if name.endswith("_change"):
        return f"{value:+.2f}"
    if name == "never_99":
        return f"{100 * value:.0f}"
    if name == "search_s":
        return f"{value / 3600:.3g}"
    if name in ("latency_ms", "variance_ms2", "hypervolume"):
        return f"{value:.4f}"
    if name == "wilcoxon_p":
        return f"{value:.2g}"
    if name in _RATIOS or name in ("gflops_ratio", "score"):
        return f"{value:.2f}"
    return f"{value:.1f}" if name == "gflops" else f"{value:.0f}"
