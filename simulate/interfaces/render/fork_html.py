"""The variants of a fork side by side on one page, the recording first: what each did and said turn by turn,
what it cost, and what it scored. It is read without a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from simulate.interfaces.render.page import page
from simulate.interfaces.render.shortening import Clip
from simulate.model.json_values import to_json
from simulate.model.outcome import Outcome
from simulate.model.whole_file import write_pieces
from simulate.trace.redaction.mask import SecretMask

_CLIP = Clip(each=2_000)
_SIGNS = {"passed": "✓", "failed": "✗", "error": "!", "not_run": "○"}


@dataclass(frozen=True, slots=True)
class ShownVariant:
    """One column: what came of a variant in all of its trials."""

    name: str
    passed: str
    live: int
    cost: str
    outcomes: Sequence[Outcome]
    told: Sequence[str] = ()
    """What kept it from being judged."""


def did(outcome: Outcome, turn: int | None = None) -> list[str]:
    """The tools that were called, in order; those of one turn with their arguments."""
    if turn is None:
        return [use.name for use in outcome.tool_uses]
    uses = [use for use in outcome.tool_uses if use.turn == turn]
    return [f"{use.name}({to_json(use.arguments).decode()})" for use in uses]


def write_fork_html(path: Path, title: str, variants: Sequence[ShownVariant], verdict: str = "") -> Path:
    """Write the page; it is whole or not there. ``verdict`` says which call decided, where that was asked."""
    text = "\n".join(_body(title, variants, verdict))
    styles = ("base.css", "report.css", "fork.css")
    return write_pieces(path, page(title, [], scripts=(), styles=styles, before=text, without_script=""))


def _body(title: str, variants: Sequence[ShownVariant], verdict: str) -> Iterator[str]:
    yield f'<main class="overview fork"><h2>{_text(title)}</h2>'
    if verdict:
        yield f"<p><strong>{_text(verdict)}</strong></p>"
    yield "<table><thead><tr><th>"
    yield "".join(f"<th>{_text(one.name)}" for one in variants) + "</thead><tbody>"
    yield _row("Passed", [_text(one.passed) for one in variants])
    yield _row("Cost", [_text(one.cost) for one in variants])
    yield _row("Live calls", [str(one.live) for one in variants])
    yield _row("Checks", [_different(map(_checks, one.outcomes)) for one in variants])
    turns = {said.turn for one in variants for each in one.outcomes for said in each.conversation.utterances}
    for turn in sorted(turns):
        yield _row(
            f"Turn {turn}", [_different(_turn(each, turn) for each in one.outcomes) for one in variants]
        )
    if any(one.told for one in variants):
        yield _row("Not judged", ["<br>".join(map(_text, one.told)) for one in variants])
    yield "</tbody></table></main>"


def _checks(outcome: Outcome) -> str:
    judged = [one for one in outcome.verdicts if one.check != "replay"]
    return "<br>".join(f"{_SIGNS[one.status]} {_text(one.expectation)}" for one in judged)


def _turn(outcome: Outcome, turn: int) -> str:
    said = [
        f"<p><b>{_text(one.speaker)}</b> {_text(one.text)}</p>"
        for one in outcome.conversation.utterances
        if one.turn == turn
    ]
    calls = [f"<p><code>{_text(call)}</code></p>" for call in did(outcome, turn)]
    return "".join(said[:1] + calls + said[1:])


def _different(cells: Iterator[str] | map[str]) -> str:
    """What trials have alike is shown once, with how many have it."""
    numbers: dict[str, int] = {}
    for cell in cells:
        numbers[cell] = numbers.get(cell, 0) + 1
    if len(numbers) == 1:
        return next(iter(numbers))
    return "<hr>".join(f"<small>{number} ×</small> {cell}" for cell, number in numbers.items())


def _row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{name}' + "".join(f"<td>{cell}" for cell in cells)


def _text(value: str) -> str:
    return escape(_CLIP(SecretMask().text(value)))
