"""Speech in and speech out, by word errors: what the agent understood, and what its listeners did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

from simulate.conversation.voice.entities import is_entity, names_in
from simulate.conversation.voice.normalise import normalise, word_errors
from simulate.errors import MissingExtra
from simulate.model.text import shorten
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, worst
from simulate.scoring.evaluators.result import Part
from simulate.trace.span import Kind, Span

ENTITIES = 2.0
FILLERS = 0.25
_FILLERS = frozenset(
    {
        "uh",
        "um",
        "er",
        "hm",
        "mhm",
        "ah",
        "oh",
        "well",
        "so",
        "like",
        "please",
        "just",
        "actually",
        "basically",
    }
    | {"a", "an", "the", "ok", "yeah", "right", "you", "know"}
)
_BACKCHANNELS = frozenset({"mhm", "hm", "ok", "yeah", "right", "uh", "ah", "yes", "sure", "i see", "uh uh"})


def same_weight(said: str, understood: str) -> tuple[int, int, float, float]:
    """Wrong words, words that were said, and both once more: each word weighs 1."""
    wrong, count = word_errors(said, understood)
    return wrong, count, wrong, count


def by_weight(said: str, understood: str) -> tuple[int, int, float, float]:
    """Wrong words, words that were said, and both by weight: ids, amounts, dates, names and negations weigh
    2, fillers 0.25, every other word 1."""
    wrong, count = word_errors(said, understood)
    if not count:
        return wrong, 0, wrong, 0.0
    from jiwer import process_words  # an extra; word_errors told if it is not there

    wanted, got = normalise(said).split(), normalise(understood).split()
    names = names_in(said)
    lost = 0.0
    for chunk in process_words(" ".join(wanted), " ".join(got)).alignments[0]:
        if chunk.type == "insert":
            lost += sum(_weight(word, names) for word in got[chunk.hyp_start_idx : chunk.hyp_end_idx])
        elif chunk.type != "equal":
            lost += sum(_weight(word, names) for word in wanted[chunk.ref_start_idx : chunk.ref_end_idx])
    return wrong, count, lost, sum(_weight(word, names) for word in wanted)


def _weight(word: str, names: Collection[str]) -> float:
    if is_entity(word, names):
        return ENTITIES
    return FILLERS if word in _FILLERS else 1.0


Counting = Callable[[str, str], tuple[int, int, float, float]]


def accuracy(
    pairs: Sequence[tuple[str, str, str | None]], listener: str, counting: Counting = same_weight
) -> Found:
    """max(0, 1 − word errors / words) over pairs of what was said and understood, each with a span."""
    errors = words = 0
    lost = whole = 0.0
    parts: list[Part] = []
    for said, understood, span_id in pairs:
        try:
            wrong, count, weight_lost, weight = counting(said, understood)
        except MissingExtra as error:
            raise NotRun(f"{error.message}: {error.hint}") from error
        errors, words, lost, whole = errors + wrong, words + count, lost + weight_lost, whole + weight
        value = max(0.0, 1 - weight_lost / weight) if weight else None
        label = "understood" if not wrong else f"{wrong} wrong"
        reason = None if not wrong else f"{listener} understood “{shorten(understood)}”"
        parts.append(Part(shorten(said), value, label, reason, [shorten(understood)], span_id))
    if not whole:
        raise NotRun("what was said has no words: a word error rate has no value")
    rate = lost / whole
    weighed = " by weight" if counting is by_weight else ""
    text = f"word error rate {rate:.3f}{weighed}: {errors} of {words} words"
    bad = [part for part in parts if part.reason]
    if bad:
        first = min(bad, key=lambda part: part.value or 0.0)
        text += f"; “{first.what}”: {first.reason}"
    evidence = [quote for part in bad[:10] for quote in part.evidence]
    return Found(max(0.0, 1 - rate), text, span_id=worst(parts), evidence=evidence, parts=parts)


class ASRAccuracy(Evaluator):
    """Whether the agent's speech recognition understood the caller.

    Formula: max(0, 1 − WER), WER = weight of the words that were substituted, left out or inserted / weight
    of the words that were said, over the whole conversation; jiwer aligns. Ids, amounts, dates, names and
    negations weigh 2, fillers and articles 0.25, any other word 1: a wrong "not" or digit changes what is
    done, a lost "uh" nothing. Keypad tones and backchannels ("mhm") are left out. Both texts are brought to
    one form first (`voice.normalise`: case, punctuation, short forms, numbers as digits), since "order four
    four one seven" and "Order 4417" are one; raw WER counts them as wrong.
    Range: 0 to 1, 1 is good. A WER above 1 is 0.
    Reads: transcripts of STT spans, in the order of time.
    Needs: STT spans with transcripts; what was really said: the caller's lines of a scenario's run by
    voice, or ``reference: transcript``. Not run where nothing was said.
    Costs: nothing.
    Not for: languages other than English, as far as numbers, fillers and short forms go; a plain word error
    rate, which the explanation's counts of words give.
    """

    threshold: ClassVar[float] = 0.9

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        heard = _of_speech(material, _voiced(material, Kind.STT, "transcript"))
        silent = sum(1 for _, view in material.reading if view.kind is Kind.STT)
        said = material.reference.transcript or _caller_lines(material)
        if said is None:
            raise NotRun("what the caller really said is not known: give reference: transcript")
        if not heard and not silent:
            raise NotRun("the trace has no STT span")
        if not heard and not any(normalise(one) for one in said):
            raise NotRun("nothing was said, and nothing understood")
        if not heard:
            raise NotRun(
                f"{silent} STT spans carry no transcript: content capture is off, or they heard nothing"
            )
        if len(heard) != len(said):
            heard = [one for one in heard if normalise(one[1]) not in _BACKCHANNELS] or heard
        if len(heard) == len(said):
            pairs = [(one, text, span.span_id) for one, (span, text) in zip(said, heard, strict=True)]
        else:
            # recognisers cut where they like: only the whole can be compared
            pairs = [(" ".join(said), " ".join(text for _, text in heard), heard[-1][0].span_id)]
        return accuracy(pairs, "it", by_weight)


def _voiced(material: EvaluationContext, kind: Kind, name: str) -> list[tuple[Span, str]]:
    """Spans of this kind with what they say under a name, in the order of time."""
    found = [
        (span, str(view.voice[name]))
        for span in material.trace.spans
        if (view := material.reading.view(span)).kind is kind and view.voice.get(name)
    ]
    return sorted(found, key=lambda one: one[0].start_ns)


def _caller_lines(material: EvaluationContext) -> list[str] | None:
    conversation = material.conversation
    if conversation is None or conversation.medium != "voice":
        return None
    return [one.received for one in conversation.by("caller") if one.kind == "speech" and one.received]


def _of_speech(material: EvaluationContext, heard: list[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """Without what was understood of keys, a "mhm", a cough or an aside: of something other than a line."""
    conversation = material.conversation
    if conversation is None or conversation.medium != "voice":
        return heard
    said = [one for one in conversation.by("caller") if one.kind != "silence"]
    kept: list[tuple[Span, str]] = []
    for span, text in heard:
        at = ((span.end_ns or span.start_ns) - conversation.started_ns) / 1e9
        before = [one for one in said if one.start <= at]
        if not before or before[-1].kind == "speech" or at > conversation.duration:
            kept.append((span, text))
    return kept


class TTSAccuracy(Evaluator):
    """Whether the agent's voice says what its text says, as far as a listener can tell.

    Formula: max(0, 1 − WER) between the text that was spoken and what was heard of it, both brought to one
    form as for `ASRAccuracy`. This is the usual stand-in for pronunciation; Future AGI's judge also hears
    prosody and tone, which no transcript holds. The listener's own errors count against the voice, so
    compare releases with one listener, and do not read the value as absolute.
    Range: 0 to 1, 1 is good.
    Reads: the agent's lines of a scenario's run by voice (text, and what the caller heard); else text of
    TTS spans.
    Needs: what was heard: by the simulated caller, or ``reference: heard``. Lines that were cut off by an
    interruption are left out.
    Costs: nothing; the caller listens anyway.
    Not for: naturalness.
    """

    threshold: ClassVar[float] = 0.85

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        conversation = material.conversation
        heard = material.reference.heard
        if heard is None and conversation is not None and conversation.medium == "voice":
            pairs = [
                (one.text if one.spoken is None else one.spoken, one.heard, one.span_id)
                for one in conversation.by("agent")
                if one.heard is not None and not one.interrupted and one.kind == "speech"
            ]
            if not pairs:
                raise NotRun("the simulated caller heard no line of the agent to its end")
            return accuracy(pairs, "the caller")
        spoken = _voiced(material, Kind.TTS, "text")
        if not spoken:
            raise NotRun("the trace has no TTS span that tells its text")
        if heard is None:
            raise NotRun("what was heard of the agent's speech is not known: give reference: heard")
        if len(heard) == len(spoken):
            pairs = [(text, one, span.span_id) for (span, text), one in zip(spoken, heard, strict=True)]
            return accuracy(pairs, "the listener")
        whole = (" ".join(text for _, text in spoken), " ".join(heard), spoken[-1][0].span_id)
        return accuracy([whole], "the listener")
