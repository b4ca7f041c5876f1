"""Secrets that an agent let slip, in an error or in a span, go no further than this process.

An outcome goes into files, reports and terminals, so that its secrets are replaced once all checks have seen
it. Personal data stays: the person on the telephone is made up. A recorded conversation is redacted where it
is turned into a scenario or a cassette.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from simulate.errors import EnvironmentFault
from simulate.model.outcome import Outcome
from simulate.model.whole_file import write_pieces
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


class MaskedPrints(io.TextIOBase):
    """Passes on what code in this process prints, line by line and without secrets."""

    def __init__(self, target: TextIO) -> None:
        self._target, self._begun = target, ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._target.isatty()

    def fileno(self) -> int:
        return self._target.fileno()

    def write(self, text: str, /) -> int:
        lines, newline, rest = (self._begun + text).rpartition("\n")
        self._begun = rest
        if newline:
            self._target.write(without_secrets(lines) + newline)
        return len(text)

    def finish(self) -> None:
        """Pass on the last line, even if it has no end."""
        begun, self._begun = self._begun, ""
        self._target.write(without_secrets(begun))
        self._target.flush()

    def flush(self) -> None:
        self._target.flush()


@contextlib.contextmanager
def masked_prints(target: TextIO) -> Generator[None]:
    """What is printed while inside goes to ``target``, without secrets."""
    prints = MaskedPrints(target)
    with contextlib.redirect_stdout(prints):
        try:
            yield
        finally:
            prints.finish()


_PART = 1 << 16


def mask_logs(logs: Iterable[Path]) -> None:
    """Replace the secrets in the logs of a run's processes, once these have ended. A log that cannot be
    rewritten stays as it is."""
    for path in logs:
        with contextlib.suppress(OSError, EnvironmentFault), path.open("rb") as log:
            if any(_masked(part) != part for part in _parts(log)):
                log.seek(0)
                write_pieces(path, map(_masked, _parts(log)))


def _parts(log: BinaryIO) -> Iterator[bytes]:
    while part := log.read(_PART) + log.readline():
        yield part


def _masked(part: bytes) -> bytes:
    return without_secrets(part.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
