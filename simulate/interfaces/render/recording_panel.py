"""The call of an outcome as the data that the page's recording panel draws."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simulate.conversation.voice.waveform import picture
from simulate.model.outcome import Outcome

MEDIA = "'self' file:"
"""Where a page with recordings may take sound from: files beside it, and nothing from a network."""


def sound(outcome: Outcome, report: Path) -> dict[str, Any] | None:
    """Address, waveforms and turn-taking events; None where there is no recording (any more).

    The sound itself stays a file beside the report. ``report`` is the page that will point to it."""
    file = _find(outcome, report)
    drawn = None if file is None else picture(file)
    if file is None or drawn is None:
        return None
    panel: Any = outcome.measures.get("turn_taking")
    return {
        **drawn,
        "src": address(file, report),
        "file": str(file),
        "started_ns": str(outcome.conversation.started_ns),  # beyond what JavaScript's numbers hold
        "events": panel["events"] if isinstance(panel, dict) else [],
    }


def address_of(outcome: Outcome, report: Path) -> str | None:
    """The recording as ``report`` has to name it; None where there is none (any more)."""
    file = _find(outcome, report)
    return None if file is None else address(file, report)


def _find(outcome: Outcome, report: Path) -> Path | None:
    """Where it was, or beside the report in a run that was moved."""
    if outcome.recording is None:
        return None
    places = [Path(outcome.recording)]
    if outcome.folder is not None:
        places.append(report.parent / Path(outcome.folder).name / places[0].name)
    return next((place for place in places if place.is_file()), None)


def address(file: Path, report: Path) -> str:
    """A file as a page has to name it."""
    try:
        return quote(Path(os.path.relpath(file, report.parent)).as_posix())
    except ValueError:  # another drive
        return file.resolve().as_uri()
