"""Two calls beside each other: both waveforms, what differs between them, and both to listen to."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from simulate.conversation.voice.waveform import picture
from simulate.errors import InputError, MissingExtra
from simulate.interfaces.render.recording_panel import address

WIDE, TALL = 900, 44
"""Of one side of a call, in pixels."""
SHOWN = (
    ("reply_p50_seconds", "reply, median", "s"),
    ("reply_p95_seconds", "reply, 95th percentile", "s"),
    ("time_to_first_audio_seconds", "first sound", "s"),
    ("dead_air_max_seconds", "longest silence", "s"),
    ("caller_interruptions", "caller interrupts", ""),
    ("stop_max_seconds", "slowest to fall silent", "s"),
    ("agent_interruptions", "agent interrupts", ""),
    ("overlap_seconds", "both speak", "s"),
    ("talk_ratio", "agent's share of speech", ""),
)
STYLES = ("sound.css", "beside.css")
SCRIPTS = ("beside.js",)


def recordings_beside(page: Path, recordings: Sequence[Path], words: Sequence[int | None]) -> str:
    """HTML for the top of ``page``. ``recordings`` are the expected call's and the actual one's, caller left
    and agent right; both are measured from their sound alone, so that the figures compare. ``words`` are how
    many the agent said in each, None where that is not known.

    Raises InputError where a file is not a recording of two channels, MissingExtra without the extra
    ``voice``."""
    try:
        from simulate.conversation.voice.two_channels import panel_of_sound  # an optional extra
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which measures recordings,", "voice") from error
    panels = [panel_of_sound(one) for one in recordings]
    drawn = [picture(one) for one in recordings]
    if None in drawn:
        raise InputError("the recording is empty", where=str(recordings[drawn.index(None)]))
    longest = max(one["seconds"] for one in drawn if one)
    measures = [one.measures() for one in panels]
    for panel, measured, count in zip(panels, measures, words, strict=True):
        spoken = panel.agent_speech / 60
        measured["agent_words_per_minute"] = round(count / spoken) if count and spoken else None
    rows = [
        _row(label, unit, *(one.get(name) for one in measures))
        for name, label, unit in (*SHOWN, ("agent_words_per_minute", "agent's words a minute", ""))
    ]
    rows.append(_row("length", "s", *(round(one.duration, 1) for one in panels)))
    calls = "".join(
        _call(name, address(file, page), shape or {}, longest)
        for name, file, shape in zip(("expected", "actual"), recordings, drawn, strict=True)
    )
    return (
        f'<main class="beside"><h2>Both calls</h2>{calls}'
        '<p><button type="button" class="other" hidden>Hear the other call from here</button></p>'
        "<table><thead><tr><th>measured from the sound<th class=num>expected<th class=num>actual"
        f"<th class=num>difference</tr></thead><tbody>{''.join(rows)}</tbody></table></main>"
    )


def _row(label: str, unit: str, was: float | None, now: float | None) -> str:
    change = "" if was is None or now is None or was == now else f"{now - was:+.3g} {unit}"
    cells = "".join(f"<td class=num>{cell}" for cell in (_value(was, unit), _value(now, unit), change))
    return f"<tr><th scope=row>{escape(label)}{cells}</tr>"


def _value(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:g}{f' {unit}' if unit else ''}"


def _call(name: str, source: str, shape: dict[str, Any], longest: float) -> str:
    lanes = "".join(
        f'<div class="sound-lane of-{side}"><span class="sound-who">{side}</span>'
        f"{_lane(base64.b64decode(shape[side]), shape['seconds'], longest, f'{name} {side}')}</div>"
        for side in ("caller", "agent")
    )
    return (
        f'<section class="sound"><h3>{name}</h3><div class="sound-stage">{lanes}</div>'
        f'<audio controls preload=metadata src="{escape(source)}"></audio></section>'
    )


def _lane(peaks: bytes, seconds: float, longest: float, label: str) -> str:
    """One side's loudness over time; both calls have one scale."""
    step = WIDE * seconds / longest / max(1, len(peaks))
    middle = TALL / 2
    bars = "".join(
        f"M{number * step:.1f} {middle - peak / 255 * middle:.1f}v{peak / 255 * TALL:.1f}"
        for number, peak in enumerate(peaks)
        if peak
    )
    return (
        f'<svg role=img aria-label="{escape(label)}" viewBox="0 0 {WIDE} {TALL}" preserveAspectRatio=none>'
        f'<path d="{bars}" stroke="currentColor" stroke-width="{max(0.5, step):.2f}"/></svg>'
    )
