"""``replied_within``, ``cost_below``, ``tokens_below``: how long it took and what it cost."""

from __future__ import annotations

import math

from simulate.model.expect import CostBelow, RepliedWithin, TokensBelow
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.checks.replies import replies_after_tools


def reply_latencies(conversation: Conversation) -> list[tuple[Utterance, float]]:
    """For each turn of the caller, the agent's first utterance after it and the seconds until it began:
    end of the caller's to the agent's first token or sound."""
    latencies: list[tuple[Utterance, float]] = []
    waiting: Utterance | None = None
    for said in conversation.utterances:
        if said.speaker == "caller":
            waiting = said if said.takes_turn else waiting
        elif waiting is not None:
            began = said.start if said.first is None else said.first
            latencies.append((said, max(0.0, began - waiting.end)))
            waiting = None
    return latencies


TOLD = 0.01
"""Seconds from which a delay that is not the agent's is told beside a latency."""


def show_seconds(value: float) -> str:
    """``850 ms`` below ten seconds, else ``12.3 s``."""
    return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"


@judges(RepliedWithin)
class RepliedWithinCheck(Check[RepliedWithin]):
    """The agent began to answer in time."""

    def describe(self) -> str:
        word = self.expectation
        share = "" if word.percentile == 100 else f" in {word.percentile} % of the turns"
        where = "" if word.in_turn is None else f" in turn {word.in_turn}"
        what = "begins to answer" if word.reply == "first_sound" else "begins its answer after its tools"
        return f"the agent {what} within {show_seconds(word.replied_within)}{share}{where}"

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        if evidence.replayed:
            return self.verdict("not_run", "a recording answered for the agent's model, at a pace of its own")
        if word.reply == "after_tool":
            return self._after_tools(evidence)
        measured = reply_latencies(evidence.conversation)
        if word.in_turn is not None:
            measured = [each for each in measured if each[0].turn == word.in_turn]
        if not measured:
            return self.verdict("not_run", "there is no reply to measure")
        # so many of the turns have to be in time: a count, and no figure between two of them
        enough = math.ceil(word.percentile / 100 * len(measured))
        value = sorted(seconds for _, seconds in measured)[enough - 1]
        slowest, seconds = max(measured, key=lambda each: each[1])
        passed = value <= word.replied_within
        fact = f"{enough} of {len(measured)} turns were answered within {show_seconds(value)}"
        if not passed or word.percentile == 100:
            longest = f"the slowest took {show_seconds(seconds)}, in turn {slowest.turn}"
            fact = longest if word.percentile == 100 else f"{longest}; {fact}"
        delay = evidence.delays.get(slowest.turn, 0.0)
        if delay >= TOLD:
            fact += f" ({show_seconds(delay)} of it may be the machine's, or other conversations')"
        without = sorted(max(0.0, each - evidence.delays.get(said.turn, 0.0)) for said, each in measured)
        if not passed and without[enough - 1] <= word.replied_within:
            return Verdict(
                word.word,
                self.describe(),
                "error",
                f"{fact}: that could explain it",
                side="environment",
                turn=slowest.turn,
                span_id=slowest.span_id,
                hint="fewer conversations at once (--jobs 1), or a less busy machine",
                expected=word.replied_within,
                actual=value,
            )
        return self.verdict(
            "passed" if passed else "failed",
            fact,
            turn=slowest.turn,
            span_id=slowest.span_id,
            expected=word.replied_within,
            actual=value,
        )

    def _after_tools(self, evidence: Evidence) -> Verdict:
        """What the caller waited for once "one moment" was said."""
        word, panel = self.expectation, evidence.measures.get("turn_taking")
        if panel is None:
            return self.verdict("not_run", "only calls by voice tell when the agent spoke after its tools")
        replies = replies_after_tools(
            panel, evidence.tool_calls, evidence.reading, evidence.conversation.started_ns
        )
        replies = [one for one in replies if word.in_turn in (None, one.turn)]
        if not replies:
            return self.verdict("not_run", "there is no reply to measure")
        never = next((one for one in replies if one.seconds is None and one.unknown is None), None)
        if never is not None:
            fact = "it never spoke again after its tools had answered"
            return self.verdict("failed", fact, turn=never.turn, expected=word.replied_within)
        unknown = next((one for one in replies if one.unknown is not None), None)
        if unknown is not None:
            return self.verdict("not_run", f"turn {unknown.turn}: {unknown.unknown}", turn=unknown.turn)
        measured = sorted((one.seconds or 0.0, one.turn) for one in replies)
        value, _ = measured[math.ceil(word.percentile / 100 * len(measured)) - 1]
        slowest, turn = measured[-1]
        return self.verdict(
            "passed" if value <= word.replied_within else "failed",
            f"the slowest took {show_seconds(slowest)}, in turn {turn}",
            turn=turn,
            expected=word.replied_within,
            actual=value,
        )


def _caveat(evidence: Evidence) -> str:
    turn = evidence.no_model_in
    return "" if turn is None else f" (no model call of turn {turn} came; one that was lost is not counted)"


@judges(CostBelow)
class CostBelowCheck(Check[CostBelow]):
    """The agent's model calls cost less than this."""

    def describe(self) -> str:
        return f"the agent's model calls cost less than ${self.expectation.cost_below:g}"

    async def judge(self, evidence: Evidence) -> Verdict:
        cost = evidence.reading.cost
        if cost.dollars is None:
            return self.verdict("not_run", f"the cost is unknown: {cost.reason}")
        passed = cost.dollars < self.expectation.cost_below
        if passed and evidence.turn_lost:
            return self.verdict("not_run", f"${cost.dollars:.4g} are told; {evidence.turn_lost}")
        most, span_id = max((paid.dollars or 0.0, span.span_id) for span, _, paid in cost.calls)
        fact = (
            f"${cost.dollars:.4g} in {len(cost.calls)} calls; the dearest took ${most:.4g}{_caveat(evidence)}"
        )
        return self.verdict("passed" if passed else "failed", fact, span_id=span_id, actual=cost.dollars)


@judges(TokensBelow)
class TokensBelowCheck(Check[TokensBelow]):
    """The agent's model calls used fewer tokens than this."""

    def describe(self) -> str:
        return f"the agent's model calls use fewer than {self.expectation.tokens_below} tokens"

    async def judge(self, evidence: Evidence) -> Verdict:
        calls = evidence.reading.llm_calls
        if not calls:
            return self.verdict("not_run", "the trace holds no model call")
        silent = [
            span.name for span, view in calls if view.input_tokens is None or view.output_tokens is None
        ]
        if silent:
            return self.verdict(
                "not_run", f"{len(silent)} of {len(calls)} model calls do not say their tokens"
            )
        used = [((view.input_tokens or 0) + (view.output_tokens or 0), span.span_id) for span, view in calls]
        total, (most, span_id) = sum(tokens for tokens, _ in used), max(used)
        passed = total < self.expectation.tokens_below
        if passed and evidence.turn_lost:
            return self.verdict("not_run", f"{total} tokens are told; {evidence.turn_lost}")
        fact = f"{total} tokens in {len(calls)} calls; the largest took {most}{_caveat(evidence)}"
        return self.verdict("passed" if passed else "failed", fact, span_id=span_id, actual=total)
