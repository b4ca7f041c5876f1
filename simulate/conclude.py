"""From what happened and what was found to one outcome: its status, whose side it is on, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simulate.conversation.callers.fidelity import doubts, fidelity
from simulate.conversation.engine import TrialSession
from simulate.determinism.clock import current_loop
from simulate.errors import Fault, NotInstalled, Side
from simulate.masking import hide_secrets
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.text import shorten
from simulate.model.transcript import Conversation
from simulate.model.verdict import Status, Verdict
from simulate.scoring.checks.check import Evidence, describe
from simulate.scoring.judge import Judge
from simulate.scoring.judge.caller_review import review_caller
from simulate.session import persona_of

IN_VIRTUAL_TIME = "kept in virtual time: waiting took none, and what the agent computes counts as no time"
STARVED = 0.98
"""Share of this machine's processor time in use from which a failed call is not held against the agent."""
PRESSED = 0.8
"""Likewise the share of the call's time in which something on this machine waited for a processor."""
_EXPLAINS = ("machine", "model", "caller", "pins")
"""Words of verdicts that explain all failures beside them."""
_WHATEVER_THE_CALLER_SAID = frozenset({"clean_text", "complete", "replied_within", "backs_claims"})
"""What an agent owes to any caller: a failure of these needs nobody to vouch for the caller."""
_WHO = {
    "agent": "the agent keeps up the conversation",
    "simulator": "the simulated caller plays its part",
    "harness": "the harness does its part",
    "environment": "the environment holds",
}


def conclude(session: TrialSession, evidence: Evidence | None, verdicts: Sequence[Verdict] | None) -> Outcome:
    """The outcome of a session that is over.

    ``evidence`` is None where not even that could be gathered, ``verdicts`` where nothing was checked."""
    spec, conversation = session.spec, session.conversation
    all_verdicts = _all_verdicts(session, verdicts)
    if (caller := _caller_left_its_part(session)) is not None:
        all_verdicts.insert(0, caller)
    if (down := _model_down(session, evidence, all_verdicts)) is not None:
        all_verdicts.insert(0, down)
    # in a replay latency cannot be checked, and all else can
    deciding = [each for each in all_verdicts if not (session.replayed and each.check == "replied_within")]
    status, side, reason = _decide(deciding)
    outcome = Outcome(
        scenario=spec.shown,
        agent=session.engine.address,
        status=status,
        conversation=conversation,
        case=spec.case,
        trial=spec.trial,
        side=side,
        reason=reason,
        verdicts=all_verdicts,
        tool_uses=[] if evidence is None else [call.plain() for call in evidence.tool_calls],
        measures=session.measures,
        notes=[IN_VIRTUAL_TIME, *session.notes] if current_loop() is not None else session.notes,
        persona=session.persona.model_dump(mode="json", exclude_defaults=True),
        seed=spec.seed,
        tags=list(spec.scenario.tags),
        pins={
            name: pin.model_dump(mode="json", exclude_unset=True) for name, pin in spec.scenario.tools.items()
        },
        world=spec.scenario.world,
        xfail=spec.scenario.xfail,
        quarantine=spec.scenario.quarantine,
        source=spec.source,
        started=datetime.fromtimestamp(conversation.started_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        recording=session.recording,
        trace_id=conversation.id,
    )
    outcome.trace, outcome.own_spans = None if evidence is None else evidence.trace, session.own_spans
    hide_secrets(outcome)
    return outcome


async def read_caller(session: TrialSession, judge: Judge | None, verdicts: Sequence[Verdict]) -> None:
    """Let a model read an improvised caller's lines before anything is held against the agent; rules have
    the first word (`_caller_left_its_part`). What no model can vouch for stays open."""
    found = [*session.verdicts, *verdicts]
    failed = [each for each in found if each.status == "failed"]
    if not failed or any(each.check in _WHATEVER_THE_CALLER_SAID for each in failed):
        return
    persona = persona_of(session.spec)
    if not _improvised(session) or doubts(session.scenario, persona, session.conversation):
        return
    if judge is None and session.replayed:
        return
    if judge is None:
        session.caller_review = ("cannot tell", "no model is there to read its lines", [])
        return
    try:
        read = await review_caller(judge, session.scenario, persona, session.conversation)
    except Fault as fault:
        session.caller_review = ("cannot tell", fault.message, [])
        return
    session.caller_review = (read.label, read.reason, read.evidence)


def _improvised(session: TrialSession) -> bool:
    """Whether a model played the caller, and an agent answered it."""
    goal, conversation = session.scenario.goal, session.conversation
    return goal is not None and not session.spec.recorded and bool(conversation.by("agent"))


def _all_verdicts(session: TrialSession, checked: Sequence[Verdict] | None) -> list[Verdict]:
    """What the harness found itself beside what was checked; what explains the rest comes first."""
    conversation, scenario = session.conversation, session.scenario
    verdicts = [*session.verdicts, *(checked or ())]
    if session.fault is not None:
        verdicts.append(_fault_verdict(session.fault, conversation))
    if checked is None:
        why = "the conversation broke off" if conversation.ended_by == "fault" else "it could not be checked"
        verdicts += [Verdict(each.word, describe(each), "not_run", why) for each in scenario.expect]
    elif conversation.ended_by == "limit" and not _limit_expected(scenario):
        # an answer that never came explains what else is missing
        place = 0 if _unanswered(conversation) else len(verdicts)
        verdicts.insert(place, _limit_verdict(scenario, conversation))
    starved = _starved(session.measures, verdicts)
    return verdicts if starved is None else [starved, *verdicts]


def _decide(verdicts: Sequence[Verdict]) -> tuple[Status, Side | None, str | None]:
    """Status, side and reason: the agent's failure, then somebody else's, then what could not run."""
    explains = next((verdict for verdict in verdicts if verdict.check in _EXPLAINS), None)
    if explains is not None:
        return explains.status, explains.side, _reason(explains)
    for status in ("failed", "error", "not_run"):
        found = next((verdict for verdict in verdicts if verdict.status == status), None)
        if found is not None:
            return status, found.side, _reason(found)
    return "passed", None, None


def _reason(verdict: Verdict) -> str:
    """A verdict in one line; that an agent answers or a limit holds goes without saying."""
    plain = verdict.check in (*_WHO, *_EXPLAINS, "limit")
    return verdict.fact if plain else f"{verdict.expectation}: {verdict.fact}"


def _unanswered(conversation: Conversation) -> bool:
    return bool(conversation.utterances) and conversation.utterances[-1].speaker == "caller"


def _starved(measures: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Verdict | None:
    """A call fails by what takes too long as much as by what is wrong. Where the processors of this machine
    had no time left while it lasted, that says nothing of an agent that shares them; what it raised does."""
    failed = [verdict for verdict in verdicts if verdict.status == "failed"]
    busy, waited = measures.get("processors_busy"), measures.get("processors_waited_for")
    if busy is not None and busy >= STARVED:
        how = f"the processors of this machine were {busy:.0%} busy during the call"
    elif waited is not None and waited >= PRESSED:
        how = f"programs of this machine waited for a processor in {waited:.0%} of the call's time"
    else:
        return None
    if not failed:
        return None
    if any(verdict.check == "agent" and verdict.evidence for verdict in failed):
        return None
    return Verdict(
        "machine",
        "the environment holds",
        "error",
        f"{how}: no failure of it is believed",
        side="environment",
        hint="fewer calls at once (--jobs 1), or a less busy machine; see `simulate doctor`",
    )


def _model_down(
    session: TrialSession, evidence: Evidence | None, verdicts: Sequence[Verdict]
) -> Verdict | None:
    """An agent whose own model does not answer can do nothing right from there on. In a replay its requests
    are answered by us, and a refusal is what it is told for leaving its path."""
    failed = [verdict for verdict in verdicts if verdict.status == "failed"]
    if evidence is None or not evidence.outages or not failed or session.replayed:
        return None
    turn = min(evidence.outages)
    if any(verdict.turn is not None and verdict.turn < turn for verdict in failed):
        return None
    return Verdict(
        "model",
        "the environment holds",
        "error",
        f"the agent's own model {evidence.outages[turn]} in turn {turn}: no failure from there on is held "
        "against the agent",
        side="environment",
        turn=turn,
        hint="look at the model's endpoint and its key",
    )


def _caller_left_its_part(session: TrialSession) -> Verdict | None:
    """A caller who improvises and leaves persona or goal says nothing of the agent, whatever came of it."""
    scenario = session.scenario
    if not _improvised(session):
        return None
    persona = persona_of(session.spec)
    found = doubts(scenario, persona, session.conversation)
    shares = fidelity(scenario, persona, session.conversation)
    if shares is not None:
        session.measures["caller_fidelity"] = min(shares.values())
        session.measures |= {f"caller_{aspect}": share for aspect, share in shares.items()}
    if not found:
        return _by_judge(session)
    first = found[0]
    return Verdict(
        "caller",
        _WHO["simulator"],
        "error",
        f"turn {first.turn}: the simulated caller {first.fault}: {shorten(first.evidence, 200)}",
        side="simulator",
        turn=first.turn,
        evidence=[f"turn {each.turn}: {each.fault}: {shorten(each.evidence, 200)}" for each in found[1:]],
        hint="`redo: 1` repeats such a trial; with a better caller model it happens less often",
    )


def _by_judge(session: TrialSession) -> Verdict | None:
    """What the judge's reading of the caller's lines comes to; None where they are the part's, or unread."""
    label, reason, quotes = session.caller_review or ("no", "", [])
    if label == "no":
        return None
    last = session.conversation.turns
    left = label == "yes"
    told = f"the judge finds that the simulated caller left its part: {reason}"
    if not left:
        told = f"neither rules nor a model can tell whether the simulated caller kept to its part: {reason}"
    return Verdict(
        "caller",
        _WHO["simulator"],
        "error" if left else "not_run",
        told,
        side="simulator" if left else None,
        evidence=quotes,
        hint="`redo: 1` has such a trial again; a better caller model does it less often"
        if left
        else f"compare the caller's lines in turns 1 to {last} with persona and goal; a `judge` under "
        "[tool.simulate.models] does it for you",
    )


def _limit_verdict(scenario: Scenario, conversation: Conversation) -> Verdict:
    """A script ends by itself, and budgets are the agent's to keep. But where a caller who improvises still
    talks at the last turn, either may be to blame: the agent that gets nowhere, or the caller who had what
    they wanted."""
    reached = conversation.end_reason or "a limit was reached"
    unclear = scenario.goal is not None and conversation.turns >= scenario.limits.turns
    hint = "raise it under `limits:`, or expect it: `ended_by: limit`"
    if unclear:
        reached += ", and whether agent or caller should have come to an end cannot be told from that"
        hint = "expect what shows that the goal is reached, such as `called:`; " + hint
    return Verdict(
        "limit",
        "the conversation ends within its limits",
        "not_run" if unclear else "failed",
        reached,
        side=None if unclear else "agent",
        turn=conversation.turns,
        hint=hint,
    )


def _limit_expected(scenario: Scenario) -> bool:
    return any(getattr(each, "ended_by", None) == "limit" for each in scenario.expect)


def _fault_verdict(fault: Fault, conversation: Conversation) -> Verdict:
    status: Status = "failed" if fault.side == "agent" else "error"
    if isinstance(fault, NotInstalled):
        status = "not_run"
    fact = f"{fault.where}: {fault.message}" if fault.where else fault.message
    return Verdict(
        fault.side,
        _WHO[fault.side],
        status,
        fact,
        side=fault.side,
        turn=conversation.turns or None,
        evidence=[] if fault.proof is None else [fault.proof],
        hint=fault.hint,
    )
