"""What a call's recording shows, together with what the harness and the agent's spans know of it."""

from __future__ import annotations

from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.entities import entity_share
from simulate.conversation.voice.measuring import measures_of
from simulate.conversation.voice.spoken import place_spoken
from simulate.trace.reading import TraceReading
from simulate.trace.span import Kind


def measure_call(session: TrialSession, reading: TraceReading) -> None:
    """The session gets its measures, its utterances their times. Needs a recording."""
    if session.recording is None:
        return
    session.call.cuts += _cuts(session, reading)
    session.measures |= measures_of(
        session.recording,
        session.conversation,
        agent_first=session.scenario.speaks_first == "agent",
        facts=session.call,
    )


def _cuts(session: TrialSession, reading: TraceReading) -> list[float]:
    """When the agent's own spans say that its speech was interrupted. Pipecat says so of each last turn, also
    of one that ended well, and of each other by its transport."""
    told = [
        (span, view.voice["interrupted"])
        for span, view in reading
        if view.voice.get("interrupted") is not None and "turn.was_interrupted" not in span.attributes
    ]
    session.call.cuts_known |= bool(told)
    ends = [span.end_ns for span, interrupted in told if interrupted is True]
    return [(end - session.conversation.started_ns) / 1e9 for end in ends if end is not None]


def tell_spoken(session: TrialSession, reading: TraceReading) -> None:
    """Put what the agent's voice was asked to say beside what the caller understood, and measure how many of
    the ids, amounts, dates and names came over, each way."""
    said, language = session.conversation.by("agent"), session.scenario.language
    session.notes += place_spoken(said, _texts(reading, Kind.TTS, "text"), language)
    whole = [one for one in said if one.spoken is not None and not one.interrupted]
    spoken, heard = [one.spoken or "" for one in whole], [one.received for one in whole]
    lines = [one.received for one in session.conversation.by("caller") if one.kind == "speech"]
    understood = _texts(reading, Kind.STT, "transcript")
    for name, wanted, got in (("tts", spoken, heard), ("asr", lines, understood)):
        right, count = entity_share(wanted, got, language)
        if count and got:
            session.measures[f"{name}_entity_accuracy"] = round(right / count, 3)


def _texts(reading: TraceReading, kind: Kind, name: str) -> list[str]:
    found = [
        (span.start_ns, str(view.voice[name]))
        for span, view in reading
        if view.kind is kind and view.voice.get(name)
    ]
    return [text for _, text in sorted(found)]
