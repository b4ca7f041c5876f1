"""Charts as SVG, drawn here: lines and bars over time, with what each point is told in its title.

A value that is not known is a gap. All text is escaped; the colours are those of the style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from simulate.server.pages.shared import when
from simulate.server.store.summary import HOUR

WIDTH, HEIGHT = 560, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 8, 8, 22
Series = Sequence[float | None]
Write = Callable[[float | None], str]


def lines(
    steps: Sequence[int], series: Mapping[str, Series], write: Write, *, threshold: float | None = None,
    label: str, links: Sequence[str] = (),
) -> str:  # fmt: skip
    """Lines over time, one for each name. ``steps`` are hours since the Unix epoch; ``links`` lead from each
    step to what is behind it."""
    values = [value for each in series.values() for value in each if value is not None]
    if not values:
        return '<p class="empty">nothing was measured in this time</p>'
    top = _nice(max([*values, threshold or 0.0]))
    drawn = [_frame(steps, top, write, label)]
    if threshold is not None:
        at = _y(threshold, top)
        drawn.append(
            f'<line class="threshold" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
    for number, (name, each) in enumerate(series.items()):
        drawn.append(f'<g class="line l{number % 5}">{_line(steps, name, each, top, write)}</g>')
    drawn += _areas(steps, links)
    legend = "".join(f'<li class="l{number % 5}">{escape(name)}</li>' for number, name in enumerate(series))
    return f"{_svg(drawn, label)}" + (f'<ul class="legend">{legend}</ul>' if len(series) > 1 else "")


def bars(
    steps: Sequence[int],
    values: Series,
    write: Write,
    *,
    label: str,
    links: Sequence[str] = (),
    height: int = HEIGHT,
) -> str:
    """A bar for each step."""
    known = [value for value in values if value is not None]
    if not any(known):
        return '<p class="empty">there was nothing in this time</p>'
    top = _nice(max(known))
    drawn = [_frame(steps, top, write, label, height)]
    width = (WIDTH - _LEFT - _RIGHT) / len(steps)
    for number, value in enumerate(values):
        if value:
            y = _y(value, top, height)
            told = _told(steps[number], "", write(value))
            box = _box(_LEFT + number * width + 0.5, y, max(width - 1, 0.8), height - _BOTTOM - y)
            drawn.append(f'<rect class="bar" {box}><title>{told}</title></rect>')
    drawn += _areas(steps, links, height)
    return _svg(drawn, label, height)


def _svg(parts: Sequence[str], label: str, height: int = HEIGHT) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="xMinYMid" role="img" '
        f'aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(steps: Sequence[int], top: float, write: Write, label: str, height: int = HEIGHT) -> str:
    parts: list[str] = []
    for share in (0.0, 0.5, 1.0):
        at = _y(top * share, top, height)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{escape(write(top * share))}</text>'
        )
    for number, anchor in ((0, "start"), (len(steps) - 1, "end")):
        x = _LEFT if anchor == "start" else WIDTH - _RIGHT
        day = when(steps[number] * HOUR)[5:16]
        parts.append(f'<text x="{x}" y="{height - 6}" text-anchor="{anchor}">{day}</text>')
    return "".join(parts)


def _line(steps: Sequence[int], name: str, values: Series, top: float, write: Write) -> str:
    parts: list[str] = []
    path = ""
    for number, value in enumerate(values):
        if value is None:
            path = ""
            continue
        x, y = _x(number, len(steps)), _y(value, top)
        if path:
            parts.append(f'<path d="{path} L{x:.1f} {y:.1f}"/>')
        path = f"M{x:.1f} {y:.1f}"
        told = _told(steps[number], name, write(value))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{told}</title></circle>')
    return "".join(parts)


def _areas(steps: Sequence[int], links: Sequence[str], height: int = HEIGHT) -> list[str]:
    """What leads from each step to its traces."""
    width = (WIDTH - _LEFT - _RIGHT) / len(steps)
    drawn: list[str] = []
    for number, address in enumerate(links):
        box = _box(_LEFT + number * width, _TOP, width, height - _TOP - _BOTTOM)
        told = f"<title>{_told(steps[number], '', '')}</title>"
        drawn.append(f'<a href="{escape(address)}"><rect class="area" {box}>{told}</rect></a>')
    return drawn


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'


def _told(hour: int, name: str, value: str) -> str:
    return escape(" ".join(filter(None, (when(hour * HOUR)[:16], name, value))))


def _x(number: int, count: int) -> float:
    return _LEFT + (number + 0.5) * (WIDTH - _LEFT - _RIGHT) / count


def _y(value: float, top: float, height: int = HEIGHT) -> float:
    return height - _BOTTOM - (height - _TOP - _BOTTOM) * min(1.0, value / top if top else 0.0)


def _nice(value: float) -> float:
    """A round number that is not below."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)
