"""Why an outcome is what it is, as lines for a person: one source for pytest, the terminal and JUnit.

Each line is made of pieces ``(style, text)``. ``explain`` joins the texts; the terminal adds the colours
that the styles name. Everything in them is safe to print.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from simulate.errors import Side
from simulate.model.text import compact, dollars, line, safe
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Standing, Status, Verdict

Piece = tuple[str, str]
"""A style's name (``""``, ``dim``, ``strong``, ``passed``, ``failed``, ``error``, ``not_run``, ``caller``,
``agent``, ``tool``) and a text."""
Line = list[Piece]

MARK: dict[Standing, str] = {
    "passed": "✓", "failed": "✗", "error": "!", "not_run": "○",
    "flaky": "~", "xfailed": "x", "xpassed": "+", "quarantined": "#",
}  # fmt: skip
WORD: dict[Standing, str] = {
    "passed": "passed", "failed": "failed", "error": "error", "not_run": "not run",
    "flaky": "flaky", "xfailed": "xfailed", "xpassed": "xpassed", "quarantined": "quarantined",
}  # fmt: skip
"""``flaky`` passed on retry only; the next two are pytest's words for what is known to fail."""

CLOCKS_DIFFER = 0.05
"""Seconds that a span's clock may be off from the conversation's."""
AROUND = 2
"""Turns that are shown before and after one that matters; the others fold."""


class Explained(Protocol):
    """What is told of an ``Outcome``."""

    status: Status
    conversation: Conversation
    side: Side | None
    reason: str | None
    verdicts: list[Verdict]
    tool_uses: list[ToolUse]
    measures: dict[str, Any]
    notes: list[str]
    source: str | None
    folder: str | None
    xfail: str | None
    quarantine: str | None
    retried: list[str]

    @property
    def standing(self) -> Standing:
        """What it counts as."""
        ...

    @property
    def key(self) -> str:
        """The name that it goes by."""
        ...


def explain(outcome: Explained) -> str:
    """The whole story of one outcome as plain text; a passed one takes a line."""
    return "\n".join("".join(text for _, text in pieces).rstrip() for pieces in lines(outcome))


def told_verdict(verdict: Verdict) -> str:
    """One verdict as plain text: what was expected, what happened, what to do."""
    return "\n".join("".join(text for _, text in pieces).rstrip() for pieces in _verdict(verdict))


def lines(outcome: Explained, *, reason: bool = True) -> Iterator[Line]:
    """The story of one outcome, line by line; the first line need not say the reason where the rest does."""
    told = bool(outcome.conversation.utterances and outcome.verdicts)
    yield headline(outcome, reason=reason or not told)
    if outcome.status == "passed":
        yield from _noted(outcome)
        return
    if outcome.status == "not_run" and not outcome.conversation.utterances:
        # nothing took place: what would bring it is all there is to say
        yield from ([("dim", f"  {line(each.hint)}")] for each in outcome.verdicts if each.hint)
        return
    if outcome.source:
        yield [("dim", f"  {line(outcome.source)}")]
    troubles = [verdict for verdict in outcome.verdicts if verdict.status != "passed"]
    yield []
    yield from _conversation(outcome, troubles)
    for verdict in troubles:
        yield []
        yield from _verdict(verdict)
    passed = [verdict for verdict in outcome.verdicts if verdict.status == "passed"]
    if passed:
        words = ", ".join(_held(verdict) for verdict in passed)
        yield []
        yield [("passed", f"  {MARK['passed']} "), ("dim", f"{len(passed)} held: {line(words)}")]
    yield from _noted(outcome)
    if outcome.folder:
        yield [("dim", f"  everything about it: {line(outcome.folder)}")]


def _held(verdict: Verdict) -> str:
    """What held in a word; a score with its figure."""
    if verdict.score is None or verdict.threshold is None:
        return line(verdict.check, 40)
    return f"{line(verdict.expectation.split(' ')[0], 60)} {verdict.score:g} (needs {verdict.threshold:g})"


def headline(outcome: Explained, *, reason: bool = True) -> Line:
    """Status, name, whose fault it was and why, on one line."""
    standing = outcome.standing
    pieces: Line = [(standing, f"{MARK[standing]} {WORD[standing]}")]
    if standing == "quarantined":
        pieces.append((standing, f", {WORD[outcome.status]}"))
    if outcome.side and standing == outcome.status != "passed":
        pieces.append((outcome.status, f" ({outcome.side})"))
    pieces.append(("strong", f"  {line(outcome.key)}"))
    if reason and outcome.reason and outcome.status != "passed":
        pieces.append(("", f": {line(outcome.reason, 300)}"))
    turns = outcome.conversation.turns
    facts = [f"{turns} turn{'s' * (turns != 1)}", f"{outcome.conversation.duration:.1f} s"]
    cost = outcome.measures.get("cost_usd")
    if isinstance(cost, int | float):
        facts.append(dollars(cost))
    pieces.append(("dim", f"  [{', '.join(facts)}]"))
    return pieces


def _noted(outcome: Explained) -> Iterator[Line]:
    if outcome.quarantine is not None:
        yield [("dim", "  quarantined: "), ("", line(outcome.quarantine, 400))]
    if outcome.xfail is not None:
        take_out = "; take `xfail` out of the scenario" if outcome.standing == "xpassed" else ""
        yield [("dim", "  known to fail: "), ("", line(outcome.xfail, 400) + take_out)]
    for number, reason in enumerate(outcome.retried, 1):
        yield [("dim", f"  attempt {number} failed: "), ("", line(reason, 400))]
    for note in outcome.notes:
        yield [("dim", "  note: "), ("", line(note, 400))]


def _verdict(verdict: Verdict) -> Iterator[Line]:
    side = f" ({verdict.side})" if verdict.side and verdict.status == "error" else ""
    yield [
        (verdict.status, f"  {MARK[verdict.status]} {line(verdict.check, 60)}{side}"),
        *([("dim", f"  turn {verdict.turn}")] if verdict.turn is not None else []),
        *([("dim", f"  span {line(verdict.span_id, 40)}")] if verdict.span_id else []),
    ]
    yield from _field("expected", verdict.expectation)
    yield from _field("happened" if verdict.status == "failed" else "because", verdict.fact)
    if verdict.score is not None:
        needs = f", needs at least {verdict.threshold:g}" if verdict.threshold is not None else ""
        yield from _field("score", f"{verdict.score:g}{needs}")
    if verdict.expected is not None or verdict.actual is not None:
        yield from _field("wanted", compact(verdict.expected))
        yield from _field("got", compact(verdict.actual))
    for piece in verdict.evidence[:5]:
        # what has lines of its own, a traceback, keeps them
        yield from _field("evidence", piece if "\n" in piece else f"“{line(piece, 300)}”")
    if len(verdict.evidence) > 5:
        yield from _field("evidence", f"… and {len(verdict.evidence) - 5} more")
    if verdict.hint:
        yield from _field("do", verdict.hint)


def _field(name: str, text: str) -> Iterator[Line]:
    first, *rest = safe(text, 1_000).split("\n")
    yield [("dim", f"    {name:<9} "), ("", first)]
    for more in rest[:20]:
        yield [("", f"    {'':<9} {more}")]


def _conversation(outcome: Explained, troubles: Sequence[Verdict]) -> Iterator[Line]:
    conversation = outcome.conversation
    if not conversation.utterances and not outcome.tool_uses:
        yield [("dim", "  nobody said anything")]
        return
    pointed = {verdict.turn: verdict.status for verdict in reversed(troubles) if verdict.turn is not None}
    shown = _turns_shown(conversation, set(pointed))
    folded = 0
    for entry in _in_order(conversation, outcome.tool_uses):
        turn = entry.turn
        if shown is not None and turn is not None and turn not in shown:
            folded += 1
            continue
        if folded:
            yield [("dim", f"      … {folded} more lines")]
            folded = 0
        status = None if turn is None else pointed.get(turn)
        at_fault = status is not None and _speaks_for_agent(entry)
        arrow: Piece = (status, "  → ") if status is not None and at_fault else ("", "    ")
        label = ("dim", f"{'' if turn is None else turn:>3} ")
        yield [arrow, label, *_said(entry)]
    if folded:
        yield [("dim", f"      … {folded} more lines")]
    if conversation.ended_by:
        why = f": {line(conversation.end_reason)}" if conversation.end_reason else ""
        yield [("dim", f"        ended by {conversation.ended_by}{why}")]


def _speaks_for_agent(entry: Utterance | ToolUse) -> bool:
    return isinstance(entry, ToolUse) or entry.speaker == "agent"


def _said(entry: Utterance | ToolUse) -> Line:
    if isinstance(entry, ToolUse):
        given = compact(entry.arguments, 200) if entry.arguments_known else "…"
        asked = entry.asked_arguments
        other = "" if asked is None else f" (the model asked for {compact(asked, 200)})"
        return [
            ("tool", f"{'tool':<7}"),
            ("", f" {line(entry.name, 60)}({given}){other} → {_answer(entry)}"),
        ]
    text = {"silence": "(silent)", "dtmf": f"(keys) {line(entry.text)}"}.get(
        entry.kind, line(entry.text, 400)
    )
    pieces: Line = [(entry.speaker, f"{entry.speaker:<7}"), ("", f" {text}")]
    if entry.attachments:
        pieces.append(("dim", f"  (with {line(', '.join(entry.attachments))})"))
    if entry.interrupted:
        pieces.append(("dim", "  (interrupted)"))
    if entry.heard is not None and entry.heard != entry.text:
        pieces.append(("dim", f"  (heard: {line(entry.heard)})"))
    return pieces


def _answer(use: ToolUse) -> str:
    if use.ran is None:
        return "(asked for; nothing shows whether it ran)"
    if not use.ran:
        return "(asked for and never run)"
    if use.error:
        return f"✗ {line(use.error)}"
    return compact(use.result, 160) if use.result_known else "(not recorded)"


def _turns_shown(conversation: Conversation, pointed: set[int]) -> set[int] | None:
    """None: all of them. A long conversation folds what is far from its beginning, end and arrows."""
    last = conversation.turns
    if last <= 8:
        return None
    centres = {0, 1, last, *pointed}
    return {turn for centre in centres for turn in range(centre - AROUND, centre + AROUND + 1)}


def _in_order(conversation: Conversation, tools: Sequence[ToolUse]) -> list[Utterance | ToolUse]:
    """Utterances with the tool calls between them: by time if known, else before the turn's answer."""
    entries: list[tuple[float, int, Utterance | ToolUse]] = [
        (said.start, 0 if said.speaker == "caller" else 2, said) for said in conversation.utterances
    ]
    entries += [(_moment(tool, conversation), 1, tool) for tool in tools]
    entries.sort(key=lambda entry: entry[:2])
    return [entry for _, _, entry in entries]


def _moment(tool: ToolUse, conversation: Conversation) -> float:
    """Where a tool call stands among what was said.

    In a text conversation that is before the answer it led to: the agent's spans and the harness tell time by
    different clocks, and an answer is said when its first word comes. In voice the times are what happened.
    """
    answers = [said for said in conversation.by("agent") if said.turn == tool.turn]
    if answers and (conversation.medium == "text" or tool.start is None):
        led_to = (said for said in answers if tool.start is None or said.end + CLOCKS_DIFFER >= tool.start)
        return next(led_to, answers[-1]).start
    return float("inf") if tool.start is None else tool.start
