"""Secrets that an agent let slip, in an error or in a span, go no further than this process.

An outcome goes into files, reports and terminals, so that its secrets are replaced once all checks have seen
it. Personal data stays: the person on the telephone is made up. A recorded conversation is redacted where it
is turned into a scenario or a cassette.
"""

from __future__ import annotations

from simulate.model.outcome import Outcome
from simulate.trace.redaction.mask import SecretMask

PARTS = ("conversation", "verdicts", "tool_uses", "notes", "reason", "persona")
"""What of an outcome others than us have written."""
NAMES = ("scenario", "case", "agent", "tags")
"""What several outcomes share, so that its placeholders are the same in all."""
_NAMES = SecretMask(key="simulate names")


def without_secrets(text: str) -> str:
    """A name, an address or a command as it is written and printed: ``http://app:<secret:3f2a>@host``."""
    return _NAMES.text(text)


def hide_secrets(outcome: Outcome) -> None:
    """Replace each secret in an outcome by ``<secret:3f2a>``, the same one by the same placeholder."""
    mask = SecretMask()
    trace = [] if outcome.trace is None else outcome.trace.spans
    resources = list({id(span.resource): span.resource for span in (*trace, *outcome.own_spans)}.values())
    # nearly always there is none, and one look at everything says so
    parts = [getattr(outcome, name) for name in (*PARTS, *NAMES)]
    if mask.is_clean([parts, trace, outcome.own_spans, resources]):
        return
    for name in NAMES:
        setattr(outcome, name, _NAMES.value(getattr(outcome, name)))
    for name in PARTS:
        setattr(outcome, name, mask.value(getattr(outcome, name)))
    if outcome.trace is not None:
        outcome.trace = mask.trace(outcome.trace)
    outcome.own_spans = mask.spans(outcome.own_spans)
