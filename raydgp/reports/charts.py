"""Figures as SVG, drawn by hand: small, sharp at any size, in the colours of the page, light or dark.

Lines differ in colour and in dashes, and every figure has a title for who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 440, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 8, 38
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A step function: from each x on, its y."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Move:
    """A layer on the roofline: operations a byte, and 10^9 operations a second before (0: not known) and after."""

    name: str
    intensity: float
    before: float
    after: float


class _Axis:
    """From values to a place on the page, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self.log = log
        self._low, self._high = (math.log10(low), math.log10(high)) if log else (low, high)
        self._high = self._high if self._high > self._low else self._low + 1
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        return self._start + (value - self._low) / (self._high - self._low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            few = len(powers) <= _TICKS - 1
            found = [10.0**power * digit for power in powers for digit in ((1, 2, 5) if few else (1,))]
            return [tick for tick in found if self._low - 1e-9 <= math.log10(tick) <= self._high + 1e-9]
        rough = (self._high - self._low) / _TICKS
        step = 10 ** math.floor(math.log10(rough))
        step *= next(digit for digit in (1, 2, 5, 10) if digit * step >= rough)
        first = math.ceil(self._low / step - 1e-9)
        return [place * step for place in range(first, math.floor(self._high / step + 1e-9) + 1)]


def steps(lines: Sequence[Line], title: str, x_title: str, y_title: str) -> Markup:
    """Step functions over a common axis, from zero."""
    lines = [line for line in lines if line.xs]
    if not lines:
        return Markup("")
    high_x, high_y = max(line.xs[-1] for line in lines), max(max(line.ys) for line in lines)
    x = _Axis(0, high_x, _LEFT, _WIDTH - _RIGHT)
    y = _Axis(0, 1.05 * high_y, _HEIGHT - _BOTTOM, _TOP)
    drawn = [_frame(x, y, x_title, y_title)]
    for place, line in enumerate(lines):
        path = f"M{x.at(line.xs[0]):.1f} {y.at(line.ys[0]):.1f}"
        for to, value in zip(line.xs[1:], line.ys[1:], strict=True):
            path += f"H{x.at(to):.1f}V{y.at(value):.1f}"
        path += f"H{x.at(high_x):.1f}"
        drawn.append(
            Markup('<path class="line c{}" d="{}"><title>{}</title></path>').format(place % 8, path, line.name)
        )
    return _svg(title, drawn)


def roofline(moves: Sequence[Move], peak_gflops: float, gb_s: float | None) -> Markup:
    """Layers below what the machine's arithmetic and memory allow (Williams et al. 2009), before and after."""
    speeds = [speed for move in moves for speed in (move.before, move.after) if speed > 0]
    if not speeds:
        return Markup("")
    low_x, high_x = min(move.intensity for move in moves) / 2, max(move.intensity for move in moves) * 2
    x = _Axis(low_x, high_x, _LEFT, _WIDTH - _RIGHT, log=True)
    y = _Axis(min(speeds) / 2, max(peak_gflops, *speeds) * 2, _HEIGHT - _BOTTOM, _TOP, log=True)
    drawn = [_frame(x, y, "operations a byte", "GFLOPS")]
    knee = min(max(peak_gflops / gb_s, low_x), high_x) if gb_s else low_x
    roof = f"M{x.at(knee):.1f} {y.at(peak_gflops):.1f}H{x.at(high_x):.1f}"
    if gb_s and knee > low_x:
        start = max(low_x, min(speeds) / 2 / gb_s)
        roof = f"M{x.at(start):.1f} {y.at(gb_s * start):.1f}L{x.at(knee):.1f} {y.at(gb_s * knee):.1f}" + roof
    drawn.append(Markup('<path class="roof" d="{}"/>').format(roof))
    for move in moves:
        at, after = x.at(move.intensity), y.at(move.after)
        if move.before > 0:
            before = y.at(move.before)
            drawn.append(Markup('<path class="move" d="M{:.1f} {:.1f}V{:.1f}"/>').format(at, before, after))
            drawn.append(Markup('<circle class="before" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(at, before))
        said = f"{move.name}: {move.after:.0f} GFLOPS" + (f", {move.before:.0f} before" if move.before > 0 else "")
        dot = '<circle class="after" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>'
        drawn.append(Markup(dot).format(at, after, said))
    return _svg("Roofline: GFLOPS of each layer by operations a byte, before and after", drawn)


def _frame(x: _Axis, y: _Axis, x_title: str, y_title: str) -> Markup:
    """Axes with their titles, ticks and lines across."""

    def parts() -> Iterator[Markup]:
        for tick in y.ticks():
            at = y.at(tick)
            yield Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, at, _WIDTH - _RIGHT)
            yield Markup('<text x="{}" y="{:.1f}" class="end">{}</text>').format(_LEFT - 5, at + 4, _number(tick))
        for tick in x.ticks():
            text = Markup('<text x="{:.1f}" y="{}" class="mid">{}</text>')
            yield text.format(x.at(tick), _HEIGHT - _BOTTOM + 15, _number(tick))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        yield Markup('<text x="{:.1f}" y="{}" class="mid title">{}</text>').format(middle, _HEIGHT - 5, x_title)
        turned = Markup('<text transform="translate(11 {:.1f}) rotate(-90)" class="mid title">{}</text>')
        yield turned.format((_TOP + _HEIGHT - _BOTTOM) / 2, y_title)

    return Markup("").join(parts())


def _number(value: float) -> str:
    for least, unit in ((1e6, "M"), (1e3, "k")):
        if value >= least:
            return f"{value / least:g}{unit}"
    return f"{value:.3g}"


def _svg(title: str, drawn: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, _HEIGHT, escape(title))
    return head + Markup("").join(drawn) + Markup("</svg>")
