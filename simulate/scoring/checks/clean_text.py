"""``clean_text``: nothing stands in what the agent says that does not belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulate.model.expect import CleanText
from simulate.model.text import folded, shorten
from simulate.model.text_values import sentences
from simulate.model.transcript import Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges

LONG = 20
"""So many words in a row of its instructions, and the agent has told them: a rule or a fact is shorter."""
LONG_FOR_ORDERS = 8
"""So many of a sentence that tells the agent what to do, which no caller should hear."""

_ORDER = re.compile(
    r"\b(?:you are|you must|you should|your (?:task|job|role|goal)|never|always|do not|don['’]t|make sure"
    r"|respond|the (?:user|customer|caller)|tools?)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"\n]+\"|“[^”\n]+”|‘[^’\n]+’")
"""What the instructions quote is there to be said."""
_PLACEHOLDER = re.compile(
    r"\{\{\s*[\w.]+\s*\}\}|\$\{[\w.]+\}|(?<![\w{])\{[a-z]+(?:_[a-z]+)*\}(?!\})|<%=?.*?%>|%\([a-z_]+\)s"
    r"|\[(?:insert|your|customer|company|user|agent)\s[\w ']{2,30}\]"
    r"|\[(?:NAME|DATE|AMOUNT|ORDER(?: (?:ID|NUMBER))?|COMPANY)\]"
    r"|<(?:insert|your|customer)[ _][\w ]{2,30}>|\[object Object\]|\bLorem ipsum\b",
    re.IGNORECASE,
)
_TOOL_JSON = re.compile(
    r"\{\s*[\"'](?:name|tool|tool_name|function|action|tool_calls?|function_call|recipient_name)[\"']\s*:"
    r"[\s\S]{0,400}?[\"'](?:arguments|parameters|args|input|action_input|tool_input)[\"']\s*:"
    r"|</?(?:tool_call|function_call|tool_use|invoke|function=\w+|tool_response|\|[a-z_]+\|)\b[^>]*>"
    r"|<\|[a-z_]+\|>|\[TOOL_CALLS\]|\bfunctions\.\w+\(\s*\{",
    re.IGNORECASE,
)
_THOUGHT = re.compile(
    r"</?(?:think|thinking|scratchpad|reasoning)>|^\s*(?:Thought|Action|Observation)\s*:", re.MULTILINE
)
_STAGE = re.compile(
    r"(?<!\*)\*(?!\*)(?:[a-z]+(?:s|ing)\b)[a-z ,']{0,40}\*(?!\*)"
    r"|[\[(](?:pauses?|sighs?|laughs?|smiles?|clears throat|typing|whispers?|silence|beat|hold music|warmly"
    r"|background noise|(?:speaks?|says?|in a) [a-z ]{2,30}|cheerfully|softly|sympathetically)[\])]",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"```|\*\*[^*\s][^*]*\*\*|__[^_\s][^_]*__|^\s{0,3}#{1,6}\s|^\s*[-*+]\s+\S|^\s*\d+[.)]\s+\S|`[^`\n]+`"
    r"|\[[^\]\n]+\]\(https?:|^\|.*\|\s*$|</?(?:b|i|p|br|div|span|ul|li|strong|em|a|h[1-6])\b[^>]*>",
    re.MULTILINE | re.IGNORECASE,
)
_DANGLING = re.compile(
    r"(?:[,;(\[–—-]|\s(?:a|an|the|and|or|but|to|of|for|with|your|my|our|is|are|will|that|because"
    r"|if|in|on|at|by|from))\s*$",
    re.IGNORECASE,
)


@judges(CleanText)
class CleanTextCheck(Check[CleanText]):
    """Each utterance of the agent's is text for a person, whole and said once."""

    def describe(self) -> str:
        plain = self.expectation.markup is False
        return "what the agent says is clean text" + (" without markup" if plain else "")

    async def judge(self, evidence: Evidence) -> Verdict:
        said = [each for each in evidence.conversation.by("agent") if each.kind == "speech"]
        if not said:
            return self.verdict("not_run", "the agent said nothing")
        markup = self.expectation.markup
        plain = evidence.conversation.medium == "voice" if markup is None else not markup
        prompt = _secret_grams(_instructions(evidence))
        for at, each in enumerate(said):
            for what, part in _problems(each, plain, prompt, said[at - 1] if at else None):
                fact = f"{what}: {shorten(part, 160)}"
                return self.verdict("failed", fact, turn=each.turn, span_id=each.span_id)
        if not prompt:
            return self.verdict("passed", f"{len(said)} utterances; the agent's instructions are not known")
        return self.verdict("passed", f"{len(said)} utterances")


def _problems(
    said: Utterance, plain: bool, prompt: frozenset[tuple[str, ...]], before: Utterance | None
) -> Iterator[tuple[str, str]]:
    """What does not belong into an utterance, each with the part that shows it."""
    text = said.text
    for what, pattern in (
        ("a tool call is in the text", _TOOL_JSON),
        ("the agent's thoughts stand in the text", _THOUGHT),
        ("a placeholder was not filled", _PLACEHOLDER),
        ("a stage direction is in the text", _STAGE),
    ):
        if (found := pattern.search(text)) is not None:
            yield what, _around(text, found)
    if plain and (found := _MARKUP.search(text)) is not None:
        yield "markup is in plain text", _around(text, found)
    if (garbled := _garbled(text)) is not None:
        yield "the text is in a wrong encoding", garbled
    if told := (_grams(text, LONG) | _grams(text, LONG_FOR_ORDERS)) & prompt:
        yield "the agent told its instructions", " ".join(max(told, key=len))
    if (twice := _doubled(text)) is not None:
        yield "it is said twice", twice
    if before is not None and len(text) > 80 and before.turn == said.turn and before.text == text:
        yield "it is said twice", text
    if not said.interrupted and (end := unfinished(text)) is not None:
        yield "the last sentence is not finished", end


def _garbled(text: str) -> str | None:
    """A word in which bytes were read in a wrong encoding."""
    if text.isascii():
        return None
    if "\ufffd" in text:
        return _around(text, next(re.finditer("\ufffd", text)))
    from ftfy.badness import is_bad  # start-up time

    return next((word for word in text.split() if is_bad(word)), None)


def _doubled(text: str) -> str | None:
    """A long sentence that stands there twice, or a text that is its own first half twice."""
    half = len(text) // 2
    for split in (half, half + 1):
        first, second = text[:split].strip(), text[split:].strip()
        if len(first) > 15 and first == second:
            return first
    seen: set[str] = set()
    for sentence in sentences(text):
        alike = folded(sentence)
        if len(alike.split()) >= 6 and alike in seen:
            return sentence
        seen.add(alike)
    words = re.search(r"\b(\w+(?:\W+\w+){1,5})(?:\W+\1\b){2,}", text, re.IGNORECASE)
    return None if words is None or words[0].isupper() else words[0]


_END = 2000
"""Characters in which the last sentence is looked for: an answer may have ten million."""


def unfinished(text: str) -> str | None:
    """The end of a text that breaks off. A short line without a full stop, a list or a link does not."""
    bare = text[-_END:].rstrip()
    last = bare.rsplit("\n", 1)[-1]
    if len(bare.split()) < 4 or not (bare[-1].isalnum() or bare[-1] in ",;([–—-"):
        return None
    if _DANGLING.search(bare) is not None:
        return last[-60:]
    # of several sentences, only the last lacks its end; after a colon comes a name, a code or a link
    *before, end = sentences(last)
    return end[-60:] if before and len(end.split()) >= 4 and ":" not in end else None


def _instructions(evidence: Evidence) -> str:
    texts: list[str] = []
    for _, view in evidence.reading:
        texts += [view.instructions or ""]
        texts += [
            message.text or "" for message in view.input or () if message.role in ("system", "developer")
        ]
    return "\n".join(dict.fromkeys(texts))


def _secret_grams(instructions: str) -> frozenset[tuple[str, ...]]:
    """The runs of words that only the instructions hold."""
    plain = _QUOTED.sub("\n", instructions)
    orders = (_grams(sentence, LONG_FOR_ORDERS) for sentence in sentences(plain) if _ORDER.search(sentence))
    return _grams(plain, LONG).union(*orders)


def _grams(text: str, length: int) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def _around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 20) : found.end() + 40]
