"""Why an outcome is not a clean pass, in words that outcomes of one cause share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulate.model.text import shorten

if TYPE_CHECKING:
    from simulate.model.outcome import Outcome

_VARIES = re.compile(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\d+(?:[.,:]\d+)*", re.IGNORECASE)
"""What differs from one conversation to the next: ids, ports, amounts, times."""
MOST = 160


def cause(outcome: Outcome) -> str | None:
    """``called: issue_refund is called with …``; None where it is a clean pass.

    Numbers and ids are left out, so that the same fault of two orders is one cause."""
    if outcome.clean:
        return None
    if outcome.passed:
        return _masked(outcome.retried[0])
    verdict = next((each for each in outcome.verdicts if each.status == outcome.status), None)
    if verdict is None:
        return _masked(outcome.reason or outcome.status)
    # what the harness finds itself expects the same of everybody: the fact tells one from another
    found_itself = verdict.side in ("simulator", "harness", "environment") or verdict.check in (
        "agent",
        "limit",
    )
    return f"{verdict.check}: {_masked(verdict.fact if found_itself else verdict.expectation)}"


def _masked(text: str) -> str:
    return shorten(_VARIES.sub("…", text), MOST)
